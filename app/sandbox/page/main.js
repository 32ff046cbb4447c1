// The page: puts its parts together.

import * as chat from "./chat.js";
import * as desk from "./desk.js";
import { byId } from "./dom.js";
import * as faults from "./faults.js";
import * as log from "./log.js";
import * as start from "./start.js";
import { on, select, state } from "./state.js";
import { follow } from "./stream.js";
import * as theme from "./theme.js";

for (const part of [theme, start, chat, desk, log, faults]) part.setUp();

/** On a phone one part is shown at a time. */
function showPane(name) {
  document.body.dataset.pane = name;
  for (const button of document.querySelectorAll(".panes button")) {
    button.setAttribute("aria-current", String(button.dataset.pane === name));
    if (button.dataset.pane === name) delete button.dataset.news;
  }
}

for (const button of document.querySelectorAll(".panes button")) {
  button.addEventListener("click", () => showPane(button.dataset.pane));
}
showPane("chat");

/** Something waits at the desk: say so on the phone's tab, and in the title. */
on("conversations", () => {
  const waiting = [...state.conversations.values()].filter((one) => one.queue).length;
  const tab = document.querySelector('.panes button[data-pane="desk"]');
  if (waiting && document.body.dataset.pane !== "desk") tab.dataset.news = "";
  document.title = waiting ? `(${waiting}) Parley sandbox` : "Parley sandbox";
});

/** The newest conversation is shown to those who come anew. */
on("tenants", () => {
  const newest = [...state.conversations.keys()].at(-1);
  if (!state.chat && newest) select("chat", newest).catch(() => {});
});

follow();
byId("start-open").focus();
