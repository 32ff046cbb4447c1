// Starting a conversation.

import { attempt, post } from "./api.js";
import { byId, options } from "./dom.js";
import { on, select, state } from "./state.js";

const CHANNELS = ["WebChat", "WhatsApp", "SMS", "Facebook", "Viber", "RCS", "Email", "ChatAPI", "Twitter"];
const PEOPLE = ["Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra", "Mary Shaw", "Tony Hoare"];
const KEPT = "sandbox.start";

export function setUp() {
  const dialog = byId("start");
  const form = byId("start-form");
  const { elements } = form;
  options(
    elements.channel,
    CHANNELS.map((name) => [name, name]),
  );
  on("tenants", () =>
    options(
      elements.tenant,
      state.tenants.map((one) => [one.tenant, one.label]),
    ),
  );
  byId("start-open").addEventListener("click", () => {
    const before = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
    for (const name of ["tenant", "channel"]) if (before[name]) elements[name].value = before[name];
    const name = PEOPLE[state.conversations.size % PEOPLE.length];
    elements.name.value = name;
    elements.email.value = `${name.split(" ")[0].toLowerCase()}@example.com`;
    elements.language.value = before.language ?? "en";
    dialog.showModal();
    elements.name.focus();
  });
  byId("start-cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => start(dialog, elements));
  });
}

async function start(dialog, elements) {
  const user = {};
  for (const name of ["name", "email", "phone", "language"]) {
    const value = elements[name].value.trim();
    if (value) user[name] = value;
  }
  const [tenant, channel] = [elements.tenant.value, elements.channel.value];
  const made = await post("/conversations", { tenant, channel, user, is_test: elements.is_test.checked });
  sessionStorage.setItem(KEPT, JSON.stringify({ tenant, channel, language: user.language }));
  state.conversations.set(made.id, made);
  dialog.close();
  await select("chat", made.id);
  byId("chat-text").focus();
}
