// Light, dark, or as the system has it.

import { byId } from "./dom.js";

const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };
const KEPT = "sandbox.theme";

export function setUp() {
  const button = byId("theme");
  let current = localStorage.getItem(KEPT) ?? "auto";
  const apply = () => {
    if (!(current in NAMES)) current = "auto";
    if (current === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = current;
    button.lastElementChild.textContent = NAMES[current];
    button.setAttribute("aria-label", `Colours: ${current === "auto" ? "as the system" : current}`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(NAMES);
    current = names[(names.indexOf(current) + 1) % names.length];
    localStorage.setItem(KEPT, current);
    apply();
  });
  apply();
}
