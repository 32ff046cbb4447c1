// The live log: every webhook and every REST call, newest first.

import { attempt, post } from "./api.js";
import { byId, el, keyed } from "./dom.js";
import { clock, counted, nameOf, took } from "./format.js";
import { callDetail, webhookDetail } from "./entry.js";
import { on, state } from "./state.js";

const announced = new Set();

export function setUp() {
  for (const id of ["log-kind", "log-mine"]) byId(id).addEventListener("change", show);
  byId("log-reset").addEventListener("click", () => {
    if (confirm("Forget all conversations, the log and the faults?")) attempt(() => post("/reset"));
  });
  for (const topic of ["log", "selection", "conversations"]) on(topic, show);
}

function show() {
  const kind = byId("log-kind").value;
  const mine = byId("log-mine").checked;
  const wanted = [...state.log.values()]
    .filter(({ record }) => !mine || record.conversation === state.chat)
    .filter((entry) => kind === "all" || entry.kind === kind || (kind === "bad" && isBad(entry)))
    .sort((a, b) => b.seq - a.seq);
  const list = byId("entries");
  keyed(list, wanted.length ? wanted : [{ key: "empty" }], (entry) => entry.key, make, update);
  announce(wanted);
}

/** Refused or failed, by the gateway, a fault or the endpoint. A webhook on its way that failed once is only late. */
export function isBad({ kind, record }) {
  if (kind === "call") return record.status === null || record.status >= 400;
  return (
    record.outcome === "given_up" ||
    record.attempts.some((each) => each.status !== null && each.status >= 400 && each.status < 500)
  );
}

function make(entry) {
  if (entry.key === "empty")
    return el("li", { class: "empty", text: "Nothing yet. Webhooks and REST calls show up here as they happen." });
  const send = () => sendAgain(item);
  const again = el("button", { type: "button", class: "small", text: "Send again", on: { click: send } });
  const detail = el("div", { class: "detail" }, el("div", { class: "row" }, again), el("div", { class: "parts" }));
  const box = el("details", {}, el("summary"), detail);
  const item = el("li", { class: "entry" }, box);
  box.addEventListener("toggle", () => fill(item));
  return item;
}

function update(item, entry) {
  if (entry.key === "empty" || item.entry === entry.record) return;
  item.entry = entry.record;
  item.kind = entry.kind;
  item.classList.toggle("bad", isBad(entry));
  const parts = entry.kind === "webhook" ? webhookLine(entry.record) : callLine(entry.record);
  item.querySelector("summary").replaceChildren(...parts.filter(Boolean));
  fill(item);
}

/** The details of an entry that is open. */
function fill(item) {
  const box = item.firstElementChild;
  if (!box.open) return;
  const parts = item.kind === "webhook" ? webhookDetail(item.entry) : callDetail(item.entry);
  box.querySelector(".parts").replaceChildren(...parts);
}

function sendAgain(item) {
  const path =
    item.kind === "webhook"
      ? `/webhooks/${encodeURIComponent(item.entry.event_id)}/resend`
      : `/rest/${item.entry.seq}/resend`;
  return attempt(() => post(path));
}

const chip = (text, kind = "") => el("span", { class: `chip ${kind}`, text });
const who = (id) => el("span", { class: "who", text: nameOf(state.conversations.get(id)) });
const faultChips = (record) => record.faults.map((name) => chip(name.replaceAll("_", " "), "warn"));

function webhookLine(record) {
  const last = record.attempts.at(-1);
  return [
    el("time", { text: clock(record.created_at) }),
    el("span", { class: "way", text: "webhook" }),
    el("span", { class: "what", text: `${record.event_type}${about(record)}` }),
    ...faultChips(record),
    record.retries ? chip(counted(record.retries, "retry", "retries"), "warn") : null,
    who(record.conversation),
    outcome(outcomeChip(record, last)),
    el("span", { class: "took", text: last ? took(last.duration_ms) : "" }),
  ];
}

const outcome = (shown) => el("span", { class: "outcome" }, shown);

function outcomeChip(record, last) {
  const names = { no_webhook: "no webhook", given_up: "given up", dropped: "dropped", pending: "on its way" };
  const text = last ? String(last.status ?? "no answer") : (names[record.outcome] ?? record.outcome);
  const good = last && last.status !== null && last.status < 300;
  return chip(text, good ? "ok" : record.outcome === "pending" && !last ? "" : "bad");
}

/** A word or two on what the event says. */
function about(record) {
  try {
    const { data = {} } = JSON.parse(record.body);
    const word = data.state ?? data.change ?? data.queueName ?? data.name ?? (data.isEcho ? "echo" : data.sender?.type);
    const text = data.text ? `“${data.text}”` : "";
    const files = (data.attachments ?? []).map((file) => file.fileName);
    const cards = data.cards?.length && counted(data.cards.length, "card");
    return [word, text, ...files, cards]
      .filter(Boolean)
      .map((part) => ` · ${part}`)
      .join("");
  } catch {
    return "";
  }
}

function callLine(record) {
  return [
    el("time", { text: clock(record.at) }),
    el("span", { class: "way call", text: "REST" }),
    el("span", { class: "what", text: `${record.method} ${target(record)}${asked(record)}` }),
    ...faultChips(record),
    who(record.conversation),
    outcome(
      chip(
        record.refused ? `refused ${record.status}` : String(record.status ?? "cut"),
        record.status !== null && record.status < 300 ? "ok" : "bad",
      ),
    ),
    el("span", { class: "took", text: took(record.duration_ms) }),
  ];
}

/** What of the conversation is called; the whole path for what belongs to none. */
function target({ path, conversation }) {
  const [, rest] = conversation ? path.split(`/conversations/${conversation}`) : [];
  return rest === undefined ? path.replace("/chat-gateway/v1", "") : rest.slice(1) || "conversation";
}

/** A word or two on what the call asks for. */
function asked({ request_body }) {
  try {
    const { text, cards, attachments, assignment } = JSON.parse(request_body);
    return [
      assignment && `${assignment.type ?? "queue"} ${assignment.id}`,
      text && `“${text}”`,
      cards?.length && counted(cards.length, "card"),
      attachments?.length && counted(attachments.length, "file"),
    ]
      .filter(Boolean)
      .map((part) => ` · ${part}`)
      .join("");
  } catch {
    return "";
  }
}

/** Refused calls are told to those who can't see the red. */
function announce(entries) {
  for (const { key, kind, record } of entries) {
    if (kind !== "call" || !record.refused || announced.has(key)) continue;
    announced.add(key);
    byId("log-alert").textContent = `Refused: ${record.method} ${record.path}, ${record.status}`;
  }
}
