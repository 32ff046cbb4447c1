// A form for any fault: its kind, that kind's fields, and how often it applies.

import { el, options } from "./dom.js";
import { state } from "./state.js";

const OPERATIONS = [
  "send_message",
  "read_messages",
  "read_message",
  "create_conversation",
  "read_conversation",
  "list_conversations",
  "update_conversation",
  "post_agent_assignment",
  "typing",
  "thinking",
  "read_receipt",
  "participants",
  "end_conversation",
  "interactions",
  "attachments",
  "cards",
  "webhooks",
  "channels",
];
const EVENTS = ["MESSAGE", "CONVERSATION_UPDATE", "QUEUED", "MEMBERS_CHANGED", "TRANSFER", "ACTIVITY"];
const MS = { label: "Milliseconds", type: "number", value: 1000 };
const STATUS = { label: "Status", type: "number", value: 500 };
const OPERATION = { label: "Operation", choices: ["", ...OPERATIONS] };
const EVENT = { label: "Event", choices: ["", ...EVENTS] };

const KINDS = {
  rest_delay: ["REST calls are slow", { ms: MS, operation: OPERATION }],
  rest_error: [
    "REST calls fail",
    { status: STATUS, retry_after: { label: "Retry-After, s", type: "number", value: "" }, operation: OPERATION },
  ],
  answer_lost: [
    "Done, but the answer is lost",
    { how: { label: "How", choices: ["drop", "504", "hang"] }, operation: { ...OPERATION, value: "send_message" } },
  ],
  request_cut: ["The connection is cut", { operation: OPERATION }],
  read_back_late: ["Messages are read back late", { ms: MS }],
  assignment_ignored: ["Assignments have no effect", {}],
  webhook_duplicate: [
    "Webhooks come more than once",
    { copies: { label: "Copies", type: "number", value: 2 }, event_type: EVENT },
  ],
  webhook_reorder: ["Webhooks overtake each other", { hold_ms: { ...MS, value: 500 }, event_type: EVENT }],
  webhook_delay: ["Webhooks come late", { ms: MS, event_type: EVENT }],
  webhook_drop: ["Webhooks never come", { event_type: EVENT }],
  webhook_bad_signature: ["Webhooks are signed wrongly", { event_type: EVENT }],
  echo_off: ["No echoes", {}],
  jwk_error: ["The key service fails", { status: STATUS }],
  jwk_string: ["The key is a JSON string", {}],
  outage: ["Outage", { how: { label: "How", choices: ["503", "drop"] } }],
};
const COMMON = {
  count: { label: "Times at most", type: "number", value: "" },
  for_seconds: { label: "For seconds", type: "number", value: "" },
  skip: { label: "Skip the first", type: "number", value: 0 },
  every: { label: "Every n-th", type: "number", value: 1 },
};

/** Fill the form; `add(fault)` is called with what was entered. */
export function setUpForm(form, add) {
  const kind = el("select", { name: "kind" });
  options(
    kind,
    Object.entries(KINDS).map(([name, [text]]) => [name, text]),
  );
  const fields = el("div", { class: "fields" });
  const only = el("input", { type: "checkbox", name: "only" });
  kind.addEventListener("change", () => showFields(fields, kind.value));
  form.append(
    el("label", {}, "Fault", kind),
    fields,
    el("label", { class: "check" }, only, "only the customer's conversation"),
    el("button", { type: "submit", class: "primary", text: "Switch on" }),
  );
  showFields(fields, kind.value);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fault = { kind: kind.value, ...entered(fields) };
    if (only.checked) fault.conversation = state.chat;
    add(fault);
  });
}

function showFields(box, kind) {
  const all = { ...KINDS[kind][1], ...COMMON };
  if (kind === "outage") all.for_seconds = { ...COMMON.for_seconds, value: 10 };
  box.replaceChildren(
    ...Object.entries(all).map(([name, field]) => el("label", {}, field.label, control(name, field))),
  );
}

function control(name, field) {
  if (!field.choices)
    return el("input", { name, type: field.type, value: field.value, min: 0, step: "any", inputMode: "numeric" });
  const made = el("select", { name });
  options(
    made,
    field.choices.map((value) => [value, value || "any"]),
    field.value ?? field.choices[0],
  );
  return made;
}

function entered(box) {
  const values = [...box.querySelectorAll("input, select")].filter((each) => each.value !== "");
  return Object.fromEntries(
    values.map((each) => [each.name, each.type === "number" ? Number(each.value) : each.value]),
  );
}
