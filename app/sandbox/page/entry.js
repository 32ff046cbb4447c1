// What an entry of the log shows when it is opened.

import { el } from "./dom.js";
import { clock, pretty, took } from "./format.js";
import { state } from "./state.js";

/** Attempts, signature, headers and body of a webhook. */
export function webhookDetail(record) {
  return [
    table([
      ["URL", record.url ?? "none is registered"],
      ["Event id", record.event_id],
      ["Outcome", record.outcome.replace("_", " ")],
      ["Signature", signature(record)],
    ]),
    part("Attempts", record.attempts.length ? attempts(record.attempts) : el("p", { text: "none" })),
    part("Headers", table(Object.entries(record.headers))),
    part("Body", el("pre", { text: pretty(record.body) })),
  ];
}

/** Headers, body and answer of a REST call. */
export function callDetail(record) {
  return [
    table([
      ["Request", `${record.method} ${record.path}`],
      ["Operation", record.operation ?? "unknown"],
      ["Tenant", record.tenant ?? "none: the API key is wrong"],
    ]),
    part("Headers", table(Object.entries(record.request_headers))),
    record.request_body ? part("Body", el("pre", { text: pretty(record.request_body) })) : null,
    part(
      `Answer ${record.status ?? "(the connection was cut)"}`,
      el("pre", { text: pretty(record.response_body) || "no body" }),
    ),
  ].filter(Boolean);
}

function part(title, content) {
  return el("div", {}, el("h4", { text: title }), content);
}

function table(rows) {
  return el(
    "table",
    {},
    rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row", text: name }), el("td", { text: value }))),
  );
}

function attempts(all) {
  const row = (each) => [
    `retry ${each.retry}`,
    clock(each.transmission_time),
    each.status === null ? (each.error ?? "no answer") : meaning(each.status),
    took(each.duration_ms),
  ];
  return el(
    "table",
    {},
    all.map((each) =>
      el(
        "tr",
        {},
        row(each).map((text) => el("td", { text })),
      ),
    ),
  );
}

function meaning(status) {
  if (status < 300) return `${status}: taken`;
  if (status === 401) return `${status}: signature, age or tenant not accepted`;
  if (status === 404) return `${status}: no such endpoint`;
  return `${status}: will come again`;
}

/** Which key signed, whether it is a published one, and what the endpoint made of it. */
function signature(record) {
  const jws = record.headers["x-8x8-signature"];
  if (!jws) return record.attempts.length ? "none" : "not sent yet";
  const bad = record.faults.includes("webhook_bad_signature") ? ", the first by an unpublished key (fault)" : "";
  const key = keyId(jws);
  const known = state.keys.published.includes(key) ? "published" : "no longer published";
  return `RS256 by key ${key} (${known})${bad}: ${verdict(record.attempts.at(-1)?.status)}`;
}

/** What an answer says of the signature: only an endpoint that took the event has found it good. */
function verdict(answered) {
  if (answered === undefined || answered === null) return "no answer";
  if (answered === 401) return "not accepted by the endpoint";
  return answered < 300 ? "accepted" : `not known, the answer was ${answered}`;
}

function keyId(jws) {
  try {
    const [head] = jws.split(".");
    return JSON.parse(atob(head.replaceAll("-", "+").replaceAll("_", "/"))).kid;
  } catch {
    return "unknown";
  }
}
