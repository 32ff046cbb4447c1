// The agent's side: who waits, the chats, what was handed over.

import { attempt, of, post } from "./api.js";
import { byId, el, fit, keyed, options, sendOnEnter, stickToEnd } from "./dom.js";
import { clock, holder, nameOf } from "./format.js";
import { itemView } from "./message.js";
import { changed, on, select, state, tenantOf } from "./state.js";
import { timeline } from "./timeline.js";

const TYPING_PAUSE = 3000;
const DETAILS = ["name", "email", "phone", "company", "caseId", "language", "userId"];
let typing = null;
let shown = null; // the conversation the list is of
let toEnd;

export function setUp() {
  byId("desk-form").addEventListener("submit", send);
  byId("desk-text").addEventListener("input", noteTyping);
  sendOnEnter(byId("desk-text"));
  toEnd = stickToEnd(byId("desk-messages"));
  byId("transfer").addEventListener("submit", transfer);
  byId("desk-leave").addEventListener("click", () => attempt(() => post(of(state.desk, "/agent/leave"))));
  byId("agent").addEventListener("change", () => changed("conversations"));
  for (const topic of ["conversations", "tenants", "selection"]) (on(topic, showQueues), on(topic, showChat));
  for (const topic of ["messages", "selection"]) on(topic, showMessages);
}

const agent = () => byId("agent").value.trim() || "agent-1";

function showQueues() {
  const all = [...state.conversations.values()];
  const parts = [];
  const own = all.filter((one) => one.agent);
  if (own.length) parts.push(el("h3", { text: "Chats" }), ...own.map(chatView));
  for (const tenant of state.tenants) {
    for (const [id, name] of Object.entries(tenant.queues)) {
      const waiting = all.filter((one) => one.tenant === tenant.tenant && one.queue === id);
      if (waiting.length)
        parts.push(el("h3", { text: `${name} (${id}) · ${tenant.label}` }), ...waiting.map(waitingView));
    }
  }
  if (!parts.length)
    parts.push(
      el("p", { class: "empty", text: "Nobody waits. A conversation shows up here when the bot hands it over." }),
    );
  const focused = document.activeElement?.closest?.(".waiting")?.dataset.id;
  byId("queues").replaceChildren(...parts);
  if (focused)
    byId("queues")
      .querySelector(`[data-id="${CSS.escape(focused)}"] button`)
      ?.focus();
}

function entry(one, detail, ...more) {
  const who = el("button", {
    type: "button",
    class: "who",
    text: nameOf(one),
    on: { click: () => attempt(() => select("desk", one.id)) },
  });
  return el(
    "div",
    { class: "waiting", data: { id: one.id }, "aria-current": state.desk === one.id },
    who,
    el("small", { text: detail }),
    ...more,
  );
}

const chatView = (one) => entry(one, `${one.agent} · ${one.channel}`);

function waitingView(one) {
  const accept = () =>
    attempt(async () => {
      await post(of(one.id, "/agent/accept"), { agent: agent() });
      await select("desk", one.id);
      byId("desk-text").focus();
    });
  return entry(
    one,
    one.channel,
    el("button", { type: "button", class: "primary small", text: "Accept", on: { click: accept } }),
  );
}

function showChat() {
  const one = state.conversations.get(state.desk);
  const tenant = tenantOf(one);
  const mine = Boolean(one?.agent);
  byId("desk-text").disabled = !mine;
  byId("desk-form").querySelector("[type=submit]").disabled = !mine;
  byId("desk-form").hidden = byId("transfer").hidden = !one;
  for (const control of byId("transfer").elements) control.disabled = !mine;
  options(
    byId("transfer-queue"),
    Object.entries(tenant?.queues ?? {}).map(([id, name]) => [id, `${name} (${id})`]),
  );
  byId("desk-indicator").textContent = one?.typing.includes("user") ? "The customer is typing…" : "";
  showAbout(one, tenant);
}

/** Who this is and what was handed over; open or closed as it was. */
function showAbout(one, tenant) {
  const box = byId("desk-about");
  if (!one) return box.replaceChildren();
  const properties = Array.isArray(one.user.additionalProperties) ? one.user.additionalProperties : [];
  const known = DETAILS.filter((name) => one.user[name]).map((name) => [name, one.user[name]]);
  known.push(["channel", `${one.channel}, ${holder(one, tenant)}, since ${clock(one.created_at)}`]);
  if (one.post_agent_assignment) known.push(["afterwards", "back to the bot"]);
  const open = box.querySelector("details")?.open ?? true;
  return box.replaceChildren(
    el(
      "details",
      { class: "about", open },
      el("summary", { text: nameOf(one) }),
      el("div", { class: "about-parts" }, facts("Customer", known), facts("Handed over", handedOver(properties))),
    ),
  );
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
  if (!text || !state.desk) return;
  area.value = "";
  fit(area);
  clearTimeout(typing);
  typing = null;
  const done = await attempt(() => post(of(state.desk, "/agent/text"), { text }));
  if (!done && !area.value) area.value = text;
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
