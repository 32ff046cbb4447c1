// How things are written.

/** The time of day of milliseconds since 1970. */
export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

/** A duration in milliseconds, short. */
export function took(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** So many of something. */
export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A number of bytes. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} kB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}

/** JSON text with indentation; any other text as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What a person calls a conversation. */
export function nameOf(conversation) {
  if (!conversation) return "";
  const { name, email, userId, phone } = conversation.user;
  return String(name || email || userId || phone || `Visitor ${conversation.id.slice(0, 5)}`);
}

/** Who has a conversation now. */
export function holder(conversation, tenant) {
  if (conversation.state === "idle") return "ended";
  if (conversation.agent) return `with ${conversation.agent}`;
  if (conversation.queue) return `waiting in ${tenant?.queues[conversation.queue] ?? conversation.queue}`;
  return "with the bot";
}
