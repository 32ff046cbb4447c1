// One stream of changes from the sandbox; the browser opens it again when it breaks.

import { byId } from "./dom.js";
import { changed, logged, reload, reloadFaults, state, take } from "./state.js";

const AGAIN = 2000; // milliseconds after which loading is tried again

const timers = new Map();

/** Follow the sandbox for as long as the page is open. */
export function follow() {
  const source = new EventSource("/sandbox/api/stream");
  const hear = (name, act) =>
    source.addEventListener(name, (event) => {
      const { data } = JSON.parse(event.data);
      take(() => act(data));
    });
  source.addEventListener("hello", anew);
  source.addEventListener("reset", anew);
  source.addEventListener("faults", () => reloadFaults().catch(() => {}));
  source.addEventListener("error", () => show("off", "Not connected, trying again…"));
  hear("conversation", takeConversation);
  hear("message", takeMessage);
  hear("webhook", (record) => takeRecord("webhook", record));
  hear("call", (record) => takeRecord("call", record));
}

let trying = null;

async function anew() {
  clearTimeout(trying);
  try {
    if (await reload()) show("on", "Live");
  } catch {
    show("off", "The sandbox does not answer, trying again…");
    trying = setTimeout(anew, AGAIN);
  }
}

function show(className, text) {
  byId("live").className = `live ${className}`;
  byId("live-text").textContent = text;
}

function takeConversation(one) {
  state.conversations.set(one.id, one);
  clearTimeout(timers.get(one.id));
  if (one.indicator_ms)
    timers.set(
      one.id,
      setTimeout(() => putOut(one), one.indicator_ms),
    );
  changed("conversations");
}

/** An indicator goes out by itself; the sandbox does not tell of it. */
function putOut(one) {
  if (state.conversations.get(one.id) !== one) return;
  state.conversations.set(one.id, { ...one, typing: [], thinking: false });
  changed("conversations");
}

function takeMessage(message) {
  state.messages.get(message.conversation)?.set(message.id, message);
  changed("messages");
}

function takeRecord(kind, record) {
  logged(kind, record);
  changed("log");
  if (kind === "webhook") changed("messages");
  if (record.faults.length) reloadFaults().catch(() => {});
}
