// Times in the reader's zone, pages that renew themselves, and what forms need. Every page works without it.

const EVERY = 5000;
const PLAIN = { dateStyle: "short", timeStyle: "medium" };
const EXACT = { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 };

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) {
      time.textContent = at.toLocaleString(undefined, time.closest(".timeline") ? EXACT : PLAIN);
    }
  }
}

/** Whether somebody works on the part just now: fills in or chooses something, or marks text. */
function inUse(part) {
  const marked = getSelection();
  return (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button"))
    || part.querySelector("input:checked") !== null
    || (!marked.isCollapsed && part.contains(marked.anchorNode));
}

/** What is to an element in a fresh part what `one` is here. */
function heir(one, fresh) {
  const signs = (each) => ["id", "href", "aria-label", "aria-labelledby"].map((name) => each.getAttribute(name)).join(" ");
  return [...fresh.querySelectorAll(one.tagName)].find((each) => signs(each) === signs(one));
}

const atEnd = (each) => each.scrollHeight - each.scrollTop - each.clientHeight < 4;

/** Take over what has changed in the parts marked data-live, where nobody is working; focus and place stay. */
function renew(fresh) {
  localTimes(fresh);
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.innerHTML || inUse(part)) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const after = focused && heir(focused, next);
    if (focused && !after) continue;
    const kept = [...part.querySelectorAll(".scroll")].map((each) => [each.scrollTop, each.scrollLeft, atEnd(each)]);
    part.replaceChildren(...next.childNodes);
    part.querySelectorAll(".scroll").forEach((each, index) => {
      if (!kept[index]) return;
      const [top, left, end] = kept[index];
      each.scrollTop = end && "newest" in each.dataset ? each.scrollHeight : top;
      each.scrollLeft = left;
    });
    after?.focus({ preventScroll: true });
    part.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
  }
}

function say(state, text) {
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("off", text !== "live");
}

async function look() {
  const state = document.querySelector("[data-live-state]");
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected && answer.url.includes("/console/login")) location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    say(state, "live");
  } catch {
    say(state, "not live");
  }
}

localTimes(document);
for (const each of document.querySelectorAll("[data-newest]")) each.scrollTop = each.scrollHeight;

if (document.querySelector("[data-live]") && document.querySelector("[data-live-state]")) {
  let busy = false;
  setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    await look();
    busy = false;
  }, EVERY);
} else {
  document.querySelector("[data-live-state]")?.remove();
}

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

for (const all of document.querySelectorAll("[data-all]")) {
  all.addEventListener("change", () => {
    for (const box of document.getElementsByName(all.dataset.all)) box.checked = all.checked;
  });
}

/** A form whose answer is shown on this page. */
async function ask(form) {
  const place = document.getElementById(form.dataset.ask);
  const button = form.querySelector("button");
  button.disabled = true;
  place.textContent = "Asking…";
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.redirected) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    localTimes(page);
    place.replaceChildren(...page.body.children);
  } catch {
    place.textContent = "That did not work. Try again.";
  }
  button.disabled = false;
}

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
}
