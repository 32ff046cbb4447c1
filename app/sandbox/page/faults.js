// The faults panel: what can be made to go wrong.

import { attempt, get, post, put, remove } from "./api.js";
import { byId, el, keepFocus, keyed } from "./dom.js";
import { setUpForm } from "./faultform.js";
import { changed, on, state } from "./state.js";

const PRESETS = [
  ["Outage, 10 s", { kind: "outage", for_seconds: 10 }],
  ["REST 2 s slow", { kind: "rest_delay", ms: 2000 }],
  ["REST 500, 10 s", { kind: "rest_error", status: 500, for_seconds: 10 }],
  ["REST 429 ×3", { kind: "rest_error", status: 429, retry_after: 2, count: 3 }],
  ["Next answer lost", { kind: "answer_lost", count: 1 }],
  ["Webhooks twice", { kind: "webhook_duplicate", copies: 2 }],
  ["Webhooks swapped", { kind: "webhook_reorder", hold_ms: 800, every: 2 }],
  ["Webhooks 2 s late", { kind: "webhook_delay", ms: 2000 }],
  ["Bad signature once", { kind: "webhook_bad_signature", count: 1 }],
  ["Key service fails, 30 s", { kind: "jwk_error", status: 500, for_seconds: 30 }],
];

const KEY_SHOWN = 8; // characters

export function setUp() {
  byId("faults-presets").append(
    ...PRESETS.map(([text, fault]) =>
      el("button", { type: "button", class: "small", text, on: { click: () => add(fault) } }),
    ),
  );
  byId("faults-off").addEventListener("click", () => attempt(() => put("/faults", { faults: [] })));
  byId("keys-rotate").addEventListener("click", () => attempt(() => post("/keys/rotate", { forget: false })));
  byId("keys-forget").addEventListener("click", () => attempt(() => post("/keys/rotate", { forget: true })));
  setUpForm(byId("faults-form"), add);
  on("faults", show);
  setInterval(() => state.faults.some((each) => each.active && each.fault.for_seconds) && expire(), 1000);
}

const add = (fault) => attempt(() => post("/faults", fault));

function show() {
  const items = state.faults.length ? [...state.faults].reverse() : [{ id: "none" }];
  const list = byId("faults-active");
  const next = () => list.querySelector("button") ?? byId("faults-off");
  keepFocus(next, () => keyed(list, items, (each) => each.id, make, update));
  const active = state.faults.filter((each) => each.active).length;
  byId("faults-on").textContent = active ? `${active} on` : "";
  const { current, published } = state.keys;
  const text = byId("keys-text");
  text.textContent = `Key ${current.slice(0, KEY_SHOWN)}… · ${published.length} published`;
  text.title = `Signing with key ${current}`;
}

function make(each) {
  if (each.id === "none") return el("li", { class: "none", text: "No fault is on." });
  const off = () => attempt(() => remove(`/faults/${each.id}`));
  return el("li", {}, el("span"), el("button", { type: "button", class: "small", text: "Remove", on: { click: off } }));
}

function update(item, each) {
  if (each.id === "none") return;
  item.className = each.active ? "" : "spent";
  item.firstElementChild.textContent = `${describe(each.fault)} · ${each.active ? "on" : "over"} · applied ${each.hits}×`;
}

/** A fault in words: its kind and whatever differs from "always, for all". */
function describe(fault) {
  const { kind, ...rest } = fault;
  const said = Object.entries(rest)
    .filter(
      ([name, value]) => value !== null && !(name === "skip" && value === 0) && !(name === "every" && value === 1),
    )
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  return [kind.replaceAll("_", " "), ...said].join(", ");
}

/** Timed faults end without anything happening; look once their time may be over. */
async function expire() {
  const now = await get("/faults").catch(() => null);
  if (now && JSON.stringify(now.faults) !== JSON.stringify(state.faults)) {
    state.faults = now.faults;
    changed("faults");
  }
}
