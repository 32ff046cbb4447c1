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

/** Take over what has changed in the parts marked data-live, where nobody is working just now. */
function renew(fresh) {
  localTimes(fresh);
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.innerHTML) continue;
    if (part.contains(document.activeElement) && document.activeElement.matches("input, select, button, a")) continue;
    const kept = [...part.querySelectorAll(".scroll, .transcript")].map((each) => [each.scrollTop, each.scrollLeft]);
    part.innerHTML = next.innerHTML;
    part.querySelectorAll(".scroll, .transcript").forEach((each, index) => {
      if (kept[index]) [each.scrollTop, each.scrollLeft] = kept[index];
    });
    part.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
  }
}

async function look() {
  const state = document.querySelector("[data-live-state]");
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected && answer.url.includes("/console/login")) location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    state.textContent = "live";
    state.classList.remove("off");
  } catch {
    state.textContent = "not live";
    state.classList.add("off");
  }
}

localTimes(document);

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

for (const place of document.querySelectorAll("[data-fetch]")) {
  place.querySelector("button").addEventListener("click", async (event) => {
    event.target.disabled = true;
    const answer = await fetch(place.dataset.fetch);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    localTimes(page);
    place.replaceChildren(...page.body.children);
    place.setAttribute("tabindex", "-1");
    place.focus();
  });
}
