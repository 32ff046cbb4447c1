// Adaptive cards, drawn by the adaptivecards library where `make page` has put it; else as text and JSON.

import { el } from "./dom.js";

const ADAPTIVE = "application/vnd.microsoft.card.adaptive";
const LIBRARY = "/page/vendor/adaptivecards.min.js";
let loading;

/** The library, or null when it is not there. */
function library() {
  loading ??= new Promise((resolve) => {
    const script = el("script", { src: LIBRARY });
    script.addEventListener("load", () => resolve(mended(globalThis.AdaptiveCards)));
    script.addEventListener("error", () => resolve(null));
    document.head.append(script);
  });
  return loading;
}

/** The library takes a number that isn't filled in for one out of its bounds. */
function mended(cards) {
  if (!cards) return null;
  class NumberInput extends cards.NumberInput {
    isValid() {
      return this.isSet() ? super.isValid() : !this.isRequired;
    }
  }
  cards.GlobalRegistry.elements.register("Input.Number", NumberInput);
  return cards;
}

/**
 * An element for a card. `submit(card, type, data, lock)` is called when it is used and resolves to what was sent;
 * `lock` makes the card unusable (true) or usable again. Without `submit` the card can't be used.
 */
export function cardView(card, submit) {
  const box = el("div", { class: "card", role: "group", "aria-label": "Card" });
  const json = el(
    "details",
    {},
    el("summary", { text: "JSON" }),
    el("pre", { text: JSON.stringify(card.content, null, 2) }),
  );
  if (card.content_type !== ADAPTIVE) {
    box.append(el("p", { text: `A card of the type ${card.content_type}` }), json);
    return box;
  }
  const body = el("div");
  box.append(body, json);
  library().then((cards) => (cards ? draw(cards, card, box, body, submit) : asText(card, body)));
  return box;
}

function draw(cards, card, box, body, submit) {
  cards.AdaptiveCard.onProcessMarkdown = (text, result) => {
    result.didProcess = false; // text stays text
  };
  try {
    const adaptive = new cards.AdaptiveCard();
    adaptive.hostConfig = new cards.HostConfig(hostConfig());
    adaptive.onExecuteAction = (action) => execute(action, card, box, submit);
    adaptive.parse(card.content);
    body.replaceChildren(adaptive.render() ?? el("p", { text: "This card can't be drawn." }));
  } catch (error) {
    body.replaceChildren(el("p", { class: "hint", text: `This card can't be drawn: ${error.message}` }));
  }
  if (!submit || card.submitted || card.executed) used(box, card.submitted || card.executed ? "Sent" : "");
}

async function execute(action, card, box, submit) {
  const type = action.getJsonTypeName();
  if (type === "Action.OpenUrl") {
    const url = new URL(action.url, location.href);
    if (["https:", "http:"].includes(url.protocol)) window.open(url, "_blank", "noopener,noreferrer");
  } else if (type === "Action.Submit" || type === "Action.Execute") {
    const body = box.firstElementChild;
    if (body.inert) return; // a second click of a double one
    if (await submit(card, type, action.data ?? {}, (on) => (body.inert = on))) used(box, "Sent");
  }
}

function used(box, text) {
  box.classList.add("used");
  box.firstElementChild.inert = true;
  if (text) box.append(el("p", { class: "hint", text }));
}

/** What a card says, without its layout. */
function asText(card, body) {
  const lines = [];
  const walk = (item, depth) => {
    if (!item || typeof item !== "object" || depth > 20) return;
    if (typeof item.text === "string") lines.push(item.text);
    for (const fact of Array.isArray(item.facts) ? item.facts : []) lines.push(`${fact?.title}: ${fact?.value}`);
    if (String(item.type).startsWith("Input.")) lines.push(`[${item.label ?? item.placeholder ?? item.id}]`);
    if (String(item.type).startsWith("Action.")) lines.push(`(${item.title ?? item.type})`);
    for (const name of ["body", "items", "columns", "actions"]) {
      for (const child of Array.isArray(item[name]) ? item[name] : []) walk(child, depth + 1);
    }
  };
  walk(card.content, 0);
  body.replaceChildren(
    ...lines.map((line) => el("p", { text: line })),
    el("p", { class: "hint", text: "The library that draws cards is not installed: run “make page”." }),
  );
}

function hostConfig() {
  const shade = (color) => ({ default: color, subtle: "var(--muted)" });
  const colors = {
    default: shade("var(--text)"),
    dark: shade("var(--text)"),
    light: shade("var(--muted)"),
    accent: shade("var(--accent)"),
    good: shade("var(--ok)"),
    warning: shade("var(--warn)"),
    attention: shade("var(--bad)"),
  };
  const style = (backgroundColor) => ({ backgroundColor, foregroundColors: colors });
  return {
    fontFamily: "inherit",
    spacing: { small: 4, default: 8, medium: 12, large: 18, extraLarge: 24, padding: 0 },
    separator: { lineThickness: 1, lineColor: "var(--line)" },
    supportsInteractivity: true,
    containerStyles: {
      default: style("transparent"),
      emphasis: style("var(--raised)"),
      accent: style("var(--soft)"),
      good: style("var(--soft)"),
      attention: style("var(--bad-soft)"),
      warning: style("var(--agent)"),
    },
    // The space between buttons is the style sheet's: they wrap.
    actions: {
      maxActions: 10,
      buttonSpacing: 0,
      actionsOrientation: "horizontal",
      actionAlignment: "left",
      allowTitleToWrap: true,
    },
    inputs: {
      label: { requiredInputs: { suffix: " *", suffixColor: "attention" } },
      errorMessage: { color: "attention", size: "small" },
    },
  };
}
