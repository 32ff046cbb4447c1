// What the page knows, and who wants to hear of changes.

import * as api from "./api.js";

export const LOG_KEPT = 600;

export const state = {
  tenants: [],
  conversations: new Map(), // by id, oldest first
  messages: new Map(), // of opened conversations: id → (message id → message)
  happenings: new Map(), // of opened conversations: id → (event id → webhook record)
  log: new Map(), // "webhook:seq" and "call:seq" → {kind, seq, record}
  faults: [],
  keys: { current: "", published: [] },
  chat: null, // the conversation shown on the left
  desk: null, // and at the agent's desk
};

const listeners = new Map();

/** Call when something of this topic changed: conversations, messages, log, faults, tenants, selection. */
export function on(topic, listener) {
  listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
}

const TOLD_EVERY = 16; // milliseconds; by a timer and not by frame, so that the title changes in a hidden tab too
const due = new Set();
let telling = null;

/** Tell of a change; listeners run once per frame, however often. Resolves when they have. */
export function changed(topic) {
  due.add(topic);
  telling ??= new Promise((resolve) => setTimeout(() => resolve(tellAll()), TOLD_EVERY));
  return telling;
}

function tellAll() {
  telling = null;
  const topics = [...due];
  due.clear();
  const wanted = new Set(topics.flatMap((topic) => listeners.get(topic) ?? []));
  for (const listener of wanted) listener();
}

let loading = null; // what the stream told while everything is being loaded

/** Take in a change now, and once more after what is being loaded: that may be older. */
export function take(act) {
  act();
  loading?.push(act);
}

/** Load everything anew. Resolves to false when that was begun once more meanwhile. */
export async function reload() {
  const told = (loading = []);
  try {
    const found = await everything();
    if (told !== loading) return false;
    replace(found);
    for (const part of ["chat", "desk"]) if (!state.conversations.has(state[part])) state[part] = null;
    await Promise.all([...new Set([state.chat, state.desk])].filter(Boolean).map(open));
    if (told !== loading) return false;
    for (const act of told) act();
  } finally {
    if (told === loading) loading = null;
  }
  for (const topic of ["tenants", "conversations", "messages", "log", "faults", "selection"]) changed(topic);
  return true;
}

const everything = () =>
  Promise.all([
    api.get("/tenants"),
    api.get("/conversations?limit=300"),
    api.get("/webhooks?limit=300"),
    api.get("/rest?limit=300"),
    api.get("/faults"),
    api.get("/keys"),
  ]);

function replace([tenants, conversations, webhooks, calls, faults, keys]) {
  state.tenants = tenants.tenants;
  state.conversations = new Map(conversations.conversations.reverse().map((one) => [one.id, one]));
  state.log = new Map();
  for (const record of webhooks.webhooks) logged("webhook", record);
  for (const record of calls.calls) logged("call", record);
  state.faults = faults.faults;
  state.keys = keys;
  state.messages.clear();
  state.happenings.clear();
  opened.clear();
}

/** Load faults and keys anew. */
export async function reloadFaults() {
  const [faults, keys] = await Promise.all([api.get("/faults"), api.get("/keys")]);
  state.faults = faults.faults;
  state.keys = keys;
  changed("faults");
}

/** Show a conversation in the `chat` or at the `desk` (null: none). Resolves when it is shown. */
export async function select(part, id) {
  state[part] = id;
  try {
    if (id) await open(id);
  } finally {
    changed("selection");
    await changed("messages");
  }
}

const opened = new Map(); // conversations whose messages were asked for: id → promise

function open(id) {
  if (!opened.has(id)) {
    const asked = load(id).catch((error) => {
      if (opened.get(id) === asked) opened.delete(id); // so that it is tried again
      throw error;
    });
    opened.set(id, asked);
  }
  return opened.get(id);
}

/** What the stream tells of meanwhile is kept: it is newer. */
async function load(id) {
  const messages = new Map();
  const happenings = new Map();
  state.messages.set(id, messages);
  state.happenings.set(id, happenings);
  const query = `conversation=${encodeURIComponent(id)}&limit=1000`;
  const [page, log] = await Promise.all([api.get(api.of(id, "/messages")), api.get(`/webhooks?${query}`)]);
  for (const message of page.messages) if (!messages.has(message.id)) messages.set(message.id, message);
  for (const record of log.webhooks) if (!happenings.has(record.event_id)) happenings.set(record.event_id, record);
}

/** Take in one webhook or call. */
export function logged(kind, record) {
  const key = `${kind}:${record.seq}`;
  state.log.set(key, { key, kind, seq: record.seq, record });
  if (state.log.size > LOG_KEPT) state.log.delete(state.log.keys().next().value);
  if (kind === "webhook") {
    const happenings = state.happenings.get(record.conversation);
    if (happenings && !happenings.has(record.event_id)) happenings.set(record.event_id, record);
  }
}

/** The tenant of a conversation. */
export const tenantOf = (conversation) => state.tenants.find((tenant) => tenant.tenant === conversation?.tenant);
