// The control API. Every call resolves to the decoded answer, or rejects with an Error that says why.

import { toast } from "./dom.js";

export const API = "/sandbox/api";

async function call(method, path, body) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(API + path, request);
  } catch {
    throw new Error("The sandbox does not answer.");
  }
  const decoded = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(reason(decoded) ?? `The sandbox answered ${answer.status}.`);
  return decoded;
}

/** Why a call was refused: the fields that are wrong where they are named, else in general. */
function reason({ detail, extra }) {
  if (!Array.isArray(extra) || !extra.length) return detail;
  return extra.map((each) => (each.key ? `${each.key}: ${each.message}` : each.message)).join("; ");
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** The path of a conversation, or of something of it. */
export const of = (id, rest = "") => `/conversations/${encodeURIComponent(id)}${rest}`;

/** Run something a person asked for: a refusal is shown. Resolves to undefined then. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}
