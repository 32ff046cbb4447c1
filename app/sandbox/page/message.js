// One item of a chat: a message with its files and cards, a choice, or a note.

import { cardView } from "./card.js";
import { API, of } from "./api.js";
import { el } from "./dom.js";
import { clock, size } from "./format.js";

const QUICK_REPLIES = "application/8x8.quick.replies";
const SHOWN = /^image\/(png|jpeg|gif|webp|avif|bmp)$/i; // not SVG: what users send is served as bytes without a type
const NAMES = { user: "Customer", bot: "Bot", agent: "Agent" };

/** The quick replies of a message: [{title, payload}]. */
export function quickReplies(message) {
  return message.cards
    .filter((card) => card.content_type === QUICK_REPLIES)
    .flatMap((card) => (Array.isArray(card.content.options) ? card.content.options : []))
    .map((option) => ({ title: String(option?.title ?? ""), payload: option?.data?.postback ?? option?.title ?? "" }));
}

/**
 * An element for an item of a timeline. `side`: whose messages stand on the right (user, agent).
 * `acts`: {choose(reply, lock), submit(card, type, data, lock)}; without it nothing can be clicked.
 */
export function itemView(item, side, acts) {
  if (item.note !== undefined) return el("li", { class: "note", text: `${item.note} · ${clock(item.at)}` });
  if (item.choice !== undefined) return choiceView(item, side);
  const { message } = item;
  const who = message.author_type === "agent" ? message.author_id : (NAMES[message.author_type] ?? message.author_type);
  const own = message.author_type === side;
  return el(
    "li",
    { class: `message ${message.author_type}${own ? " own" : ""}`, data: { author: message.author_type } },
    message.text ? el("div", { class: "bubble", text: message.text }) : null,
    message.attachments.map((file) => attachmentView(message, file)),
    message.cards.filter((card) => card.content_type !== QUICK_REPLIES).map((card) => cardView(card, acts?.submit)),
    repliesView(message, acts),
    el("p", { class: "meta", text: `${own ? "You" : who} · ${clock(message.created_at)}` }),
  );
}

function choiceView(item, side) {
  const own = side === "user";
  return el(
    "li",
    { class: `message choice user${own ? " own" : ""}` },
    el("div", { class: "bubble", text: item.choice }),
    el("p", { class: "meta", text: `${own ? "You" : "Customer"} chose · ${clock(item.at)}` }),
  );
}

function repliesView(message, acts) {
  const replies = quickReplies(message);
  if (!replies.length) return null;
  const lock = (on) => (group.disabled = on);
  const buttons = replies.map((reply) =>
    el("button", { type: "button", text: reply.title, on: { click: () => acts.choose(reply, lock) } }),
  );
  const group = el("fieldset", { class: "replies", "aria-label": "Quick replies", disabled: !acts }, buttons);
  return group;
}

/** By the control API: its addresses stay good, 8x8's links expire. */
function attachmentView(message, file) {
  const href = API + of(message.conversation, `/files/${encodeURIComponent(file.id)}`);
  const link = el("a", { href, download: file.file_name, text: `${file.file_name} (${size(file.size)})` });
  const image = SHOWN.test(file.content_type) ? el("img", { src: href, alt: file.file_name }) : null;
  image?.addEventListener("error", () => image.remove());
  return el("div", { class: "attachment" }, image, link);
}
