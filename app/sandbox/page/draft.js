// What was typed and not sent yet, of each conversation.

import { fit } from "./dom.js";

/** A text area whose content belongs to the conversation that is shown: {show(id), put(id, text)}. */
export function drafts(area) {
  const kept = new Map();
  let shown = null;
  const write = (text) => {
    area.value = text;
    fit(area);
  };
  return {
    /** Another conversation is shown: its draft, and the last one's is kept. */
    show(id) {
      if (id === shown) return;
      kept.set(shown, area.value);
      write(kept.get(id) ?? "");
      shown = id;
    },
    /** A text that could not be sent: it is given back, unless something else was typed meanwhile. */
    put(id, text) {
      if (id !== shown) kept.set(id, kept.get(id) || text);
      else if (!area.value) write(text);
    },
  };
}
