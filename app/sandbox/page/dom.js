// Building the page. Whatever comes from outside goes in as text, never as markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. `props`: `class`, `text`, `data` (dataset), `on` (listeners by event), any property or
 * aria-… attribute; children are elements or strings, null and false are left out.
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (name.startsWith("aria-") || name === "role") made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const kept = new WeakMap();

/**
 * Make a list show `items` in order, keeping the elements of those it showed already, so that what the
 * user opened or typed in them stays. `make(item)` makes one, `update(element, item)` brings it up to date.
 */
export function keyed(list, items, key, make, update = () => {}) {
  const before = kept.get(list) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const name = key(item);
    const element = before.get(name) ?? make(item);
    update(element, item);
    after.set(name, element);
  }
  const staying = new Set(after.values());
  for (const child of [...list.children]) if (!staying.has(child)) child.remove();
  let next = list.firstElementChild;
  for (const element of after.values()) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
  kept.set(list, after);
}

/** Options of a select, keeping the choice where it is still there. */
export function options(select, pairs, chosen = select.value) {
  const wanted = JSON.stringify(pairs);
  if (select.dataset.options !== wanted) {
    select.replaceChildren(...pairs.map(([value, text]) => el("option", { value, text })));
    select.dataset.options = wanted;
  }
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

/**
 * Do something that may take away or disable what has the focus; then the focus goes to what `next` gives, so
 * that the keyboard is never left without a place.
 */
export function keepFocus(next, act) {
  const before = document.activeElement;
  act();
  if (before && before !== document.body && (!before.isConnected || before.matches(":disabled, [inert] *")))
    next()?.focus();
}

/** Tell of a mistake; it goes away by itself, or by a click. */
export function toast(text) {
  const shown = el("div", { class: "toast", text, on: { click: () => shown.remove() } });
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), 8000);
}

/**
 * Keep a list at its end while it grows (a card is drawn late, an image loads), unless the reader has scrolled
 * up. Returns a function that goes to the end and stays there again.
 */
export function stickToEnd(list) {
  let stuck = true;
  const toEnd = () => {
    if (stuck) list.scrollTop = list.scrollHeight;
  };
  const sizes = new ResizeObserver(toEnd);
  const growth = new MutationObserver((mutations) => {
    for (const { addedNodes } of mutations) for (const node of addedNodes) sizes.observe(node);
    toEnd();
  });
  let top = 0;
  list.addEventListener("scroll", () => {
    // What grew since we scrolled leaves us above the end too: only going up is the reader's doing.
    const near = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    stuck = near || (stuck && list.scrollTop >= top);
    top = list.scrollTop;
  });
  growth.observe(list, { childList: true });
  sizes.observe(list);
  return () => {
    stuck = true;
    toEnd();
  };
}

/** Let Enter send a form's text; Shift+Enter makes a new line. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      area.form.requestSubmit();
    }
  });
  area.addEventListener("input", () => fit(area));
}

/** As many lines as the text has. */
export function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
