// The customer's side.

import { attempt, of, post } from "./api.js";
import { byId, el, fit, keepFocus, keyed, options, sendOnEnter, stickToEnd } from "./dom.js";
import { drafts } from "./draft.js";
import { holder, nameOf } from "./format.js";
import { itemView, quickReplies } from "./message.js";
import { on, select, state, tenantOf } from "./state.js";
import { timeline } from "./timeline.js";

const TYPING_CHANNELS = ["WebChat", "WhatsApp", "RCS", "ChatAPI"];
const TYPING_PAUSE = 3000;
const LARGEST_FILE = 20 * 1024 * 1024;
let typing = null; // a timer while the customer types
let shown = null; // the conversation the list is of
let toEnd;
let draft;

export function setUp() {
  byId("chat-choice").addEventListener("change", (event) => attempt(() => select("chat", event.target.value)));
  byId("chat-form").addEventListener("submit", send);
  byId("chat-file").addEventListener("change", sendFile);
  byId("chat-leave").addEventListener("click", () => attempt(() => post(of(state.chat, "/user/leave"))));
  byId("chat-text").addEventListener("input", noteTyping);
  sendOnEnter(byId("chat-text"));
  toEnd = stickToEnd(byId("chat-messages"));
  draft = drafts(byId("chat-text"));
  for (const topic of ["conversations", "tenants", "selection"]) on(topic, showHead);
  for (const topic of ["messages", "selection"]) on(topic, showMessages);
}

function showHead() {
  const all = [...state.conversations.values()].reverse();
  const pairs = all.map((one) => [one.id, `${nameOf(one)} · ${tenantOf(one)?.label ?? one.tenant} · ${one.channel}`]);
  options(byId("chat-choice"), pairs.length ? pairs : [["", "No conversation yet"]], state.chat ?? "");
  const one = state.conversations.get(state.chat);
  keepFocus(place, () => {
    for (const id of ["chat-text", "chat-file"]) byId(id).disabled = !one;
    byId("chat-form").querySelector("[type=submit]").disabled = !one;
    byId("chat-leave").disabled = !one || one.state === "idle";
  });
  byId("chat-facts").textContent = one
    ? [holder(one, tenantOf(one)), one.user.language, one.is_test && "test", one.id].filter(Boolean).join(" · ")
    : "";
  byId("chat-indicator").textContent = one ? indicator(one) : "";
}

/** Where the focus goes on to: the text, but on a touchscreen, where that brings up a keyboard, the messages. */
const place = () => {
  const text = byId("chat-text");
  return text.disabled || matchMedia("(pointer: coarse)").matches ? byId("chat-messages") : text;
};

function indicator(one) {
  if (one.thinking) return "The bot is thinking…";
  const names = { bot: "The bot", agent: one.agent ?? "The agent" };
  const who = one.typing.filter((author) => author in names).map((author) => names[author]);
  return who.length ? `${who.join(" and ")} is typing…` : "";
}

function showMessages() {
  const list = byId("chat-messages");
  const items = state.chat ? timeline(state.chat) : [];
  if (shown !== state.chat) keyed(list, [], (item) => item.key);
  keyed(list, items.length ? items : [{ key: "empty" }], (item) => item.key, make);
  offerNewestOnly(list, items);
  if (shown !== state.chat) toEnd();
  draft.show(state.chat);
  shown = state.chat;
}

function make(item) {
  if (item.key !== "empty") return itemView(item, "user", { choose, submit });
  const text = state.chat
    ? "Nothing was said yet. Write the first message."
    : "Start a conversation to talk to a bot as its customer.";
  return el("li", { class: "empty", text });
}

/** Quick replies can be clicked until the customer has said something. */
function offerNewestOnly(list, items) {
  const last = items.findLastIndex((item) => item.choice !== undefined || item.message?.author_type === "user");
  keepFocus(place, () =>
    items.forEach((item, index) => {
      if (!item.message || !quickReplies(item.message).length) return;
      const element = list.children[index];
      for (const button of element.querySelectorAll(".replies button")) button.disabled = index < last;
    }),
  );
}

const choose = ({ title, payload }, lock) => once("/user/quick-reply", { title, payload }, lock);

const submit = (card, type, data, lock) => once("/user/card", { card_id: card.id, type, data }, lock);

/** Do what can be done once: it is locked before it is sent, so that a double click is one; not if that fails. */
async function once(path, body, lock) {
  keepFocus(place, () => lock(true));
  toEnd();
  const done = await attempt(() => post(of(state.chat, path), body));
  if (!done) lock(false);
  return done;
}

async function send(event) {
  event.preventDefault();
  const area = byId("chat-text");
  const text = area.value.trim();
  const id = state.chat;
  if (!text || !id) return;
  area.value = "";
  fit(area);
  stopTyping();
  toEnd();
  const done = await attempt(() => post(of(id, "/user/text"), { text }));
  if (!done) draft.put(id, text);
}

async function sendFile(event) {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  toEnd();
  await attempt(async () => {
    if (file.size > LARGEST_FILE) throw new Error("Files of at most 20 MB can be sent.");
    const content = await base64(file);
    await post(of(state.chat, "/user/file"), { file_name: file.name, content, content_type: file.type || null });
  });
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file can't be read."));
    reader.readAsDataURL(file);
  });
}

function noteTyping() {
  const one = state.conversations.get(state.chat);
  if (!one || one.state === "idle" || !TYPING_CHANNELS.includes(one.channel)) return;
  if (typing === null) post(of(one.id, "/user/typing"), { on: true }).catch(() => {});
  clearTimeout(typing);
  typing = setTimeout(() => {
    typing = null;
    post(of(one.id, "/user/typing"), { on: false }).catch(() => {});
  }, TYPING_PAUSE);
}

/** The message itself says that typing is over. */
function stopTyping() {
  clearTimeout(typing);
  typing = null;
}
