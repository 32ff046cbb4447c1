// The agent's side: who waits, the chats, what was handed over.

import { attempt, of, post } from "./api.js";
import { byId, el, fit, keepFocus, keyed, options, sendOnEnter, stickToEnd } from "./dom.js";
import { drafts } from "./draft.js";
import { clock, holder, nameOf } from "./format.js";
import { itemView } from "./message.js";
import { changed, on, select, state, tenantOf } from "./state.js";
import { timeline } from "./timeline.js";

const TYPING_PAUSE = 3000;
const DETAILS = ["name", "email", "phone", "company", "caseId", "language", "userId"];
let typing = null;
let shown = null; // the conversation the list is of
let accepted = null; // the conversation whose text gets the focus once the stream tells that it is the agent's
let toEnd;
let draft;

export function setUp() {
  byId("desk-form").addEventListener("submit", send);
  byId("desk-text").addEventListener("input", noteTyping);
  sendOnEnter(byId("desk-text"));
  toEnd = stickToEnd(byId("desk-messages"));
  draft = drafts(byId("desk-text"));
  byId("transfer").addEventListener("submit", transfer);
  byId("desk-leave").addEventListener("click", () => attempt(() => post(of(state.desk, "/agent/leave"))));
  byId("agent").addEventListener("change", () => changed("conversations"));
  for (const topic of ["conversations", "tenants", "selection"]) (on(topic, showQueues), on(topic, showChat));
  for (const topic of ["messages", "selection"]) on(topic, showMessages);
}

const agent = () => byId("agent").value.trim() || "agent-1";

function showQueues() {
  const all = [...state.conversations.values()];
  const items = [];
  const own = all.filter((one) => one.agent);
  if (own.length) items.push(heading("Chats"), ...own.map(chatItem));
  for (const tenant of state.tenants) {
    for (const [id, name] of Object.entries(tenant.queues)) {
      const waiting = all.filter((one) => one.tenant === tenant.tenant && one.queue === id);
      if (waiting.length) items.push(heading(`${name} (${id}) · ${tenant.label}`), ...waiting.map(waitingItem));
    }
  }
  if (!items.length) items.push({ key: "nobody", make: nobody });
  keepFocus(place, () =>
    keyed(
      byId("queues"),
      items,
      (item) => item.key,
      (item) => item.make(),
      (element, item) => item.id && element.setAttribute("aria-current", String(state.desk === item.id)),
    ),
  );
}

const heading = (text) => ({ key: `heading ${text}`, make: () => el("h3", { text }) });

const nobody = () =>
  el("p", { class: "empty", text: "Nobody waits. A conversation shows up here when the bot hands it over." });

/** One conversation of the list; made anew only when it reads differently, so that a click meets what it aims at. */
function entry(one, detail, more = () => []) {
  const name = nameOf(one);
  const look = () => attempt(() => select("desk", one.id));
  const make = () =>
    el(
      "div",
      { class: "waiting" },
      el("button", { type: "button", class: "who", text: name, on: { click: look } }),
      el("small", { text: detail }),
      more(),
    );
  return { key: JSON.stringify([one.id, name, detail]), id: one.id, make };
}

const chatItem = (one) => entry(one, `${one.agent} · ${one.channel}`);

function waitingItem(one) {
  const accept = () =>
    attempt(async () => {
      await post(of(one.id, "/agent/accept"), { agent: agent() });
      accepted = one.id;
      await select("desk", one.id);
    });
  return entry(one, one.channel, () =>
    el("button", { type: "button", class: "primary small", text: "Accept", on: { click: accept } }),
  );
}

function showChat() {
  const one = state.conversations.get(state.desk);
  const tenant = tenantOf(one);
  const mine = Boolean(one?.agent);
  keepFocus(place, () => {
    byId("desk-text").disabled = !mine;
    byId("desk-form").querySelector("[type=submit]").disabled = !mine;
    byId("desk-form").hidden = byId("transfer").hidden = !one;
    for (const control of byId("transfer").elements) control.disabled = !mine;
  });
  if (mine && one.id === accepted) {
    accepted = null;
    byId("desk-text").focus();
  }
  options(
    byId("transfer-queue"),
    Object.entries(tenant?.queues ?? {}).map(([id, name]) => [id, `${name} (${id})`]),
  );
  byId("desk-indicator").textContent = one?.typing.includes("user") ? "The customer is typing…" : "";
  showAbout(one, tenant);
}

/** Where the focus goes on to when a chat is over: who waits, else the transcript. */
const place = () => byId("queues").querySelector("button.primary") ?? byId("desk-messages");

/** Who this is and what was handed over; open or closed as it was. */
function showAbout(one, tenant) {
  const box = byId("desk-about");
  if (!one) {
    box.replaceChildren();
    return;
  }
  const properties = Array.isArray(one.user.additionalProperties) ? one.user.additionalProperties : [];
  const known = DETAILS.filter((name) => one.user[name]).map((name) => [name, one.user[name]]);
  known.push(["channel", `${one.channel}, ${holder(one, tenant)}, since ${clock(one.created_at)}`]);
  if (one.post_agent_assignment) known.push(["afterwards", "back to the bot"]);
  const open = box.querySelector("details")?.open ?? true;
  const focused = box.contains(document.activeElement);
  box.replaceChildren(
    el(
      "details",
      { class: "about", open },
      el("summary", { text: nameOf(one) }),
      el("div", { class: "about-parts" }, facts("Customer", known), facts("Handed over", handedOver(properties))),
    ),
  );
  if (focused) box.querySelector("summary").focus();
}

const handedOver = (properties) =>
  properties.length ? properties.map((each) => [each.key, each.value]) : [["", "no properties"]];

function facts(title, pairs) {
  const cells = pairs.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: String(value) })]);
  return el("section", {}, el("h3", { text: title }), el("dl", {}, cells));
}

function showMessages() {
  const list = byId("desk-messages");
  const items = state.desk ? timeline(state.desk) : [{ key: "empty" }];
  if (shown !== state.desk) keyed(list, [], (item) => item.key);
  keyed(list, items, (item) => item.key, make);
  if (shown !== state.desk) toEnd();
  draft.show(state.desk);
  shown = state.desk;
}

function make(item) {
  if (item.key === "empty")
    return el("li", { class: "empty", text: "Accept a conversation, or choose one to look at." });
  return itemView(item, "agent", null);
}

async function send(event) {
  event.preventDefault();
  const area = byId("desk-text");
  const text = area.value.trim();
  const id = state.desk;
  if (!text || !id) return;
  area.value = "";
  fit(area);
  clearTimeout(typing);
  typing = null;
  toEnd();
  const done = await attempt(() => post(of(id, "/agent/text"), { text }));
  if (!done) draft.put(id, text);
}

async function transfer(event) {
  event.preventDefault();
  const queue = byId("transfer-queue").value;
  const order = byId("transfer-order").value;
  await attempt(() => post(of(state.desk, "/agent/transfer"), { queue, order }));
}

function noteTyping() {
  const id = state.desk;
  if (typing === null) post(of(id, "/agent/typing"), { on: true }).catch(() => {});
  clearTimeout(typing);
  typing = setTimeout(() => {
    typing = null;
    post(of(id, "/agent/typing"), { on: false }).catch(() => {});
  }, TYPING_PAUSE);
}
