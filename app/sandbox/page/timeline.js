// A conversation as one story: its messages, and what else happened, from the events that told of it.

import { state, tenantOf } from "./state.js";

/** Items by time: {key, at, message} or {key, at, note} or {key, at, choice}. */
export function timeline(id) {
  const messages = [...(state.messages.get(id)?.values() ?? [])].map((message) => ({
    key: message.id,
    at: message.created_at,
    message,
  }));
  const others = [...(state.happenings.get(id)?.values() ?? [])].map((record) => happening(record, id));
  return [...messages, ...others.filter(Boolean)].sort((a, b) => a.at - b.at);
}

function happening(record, id) {
  let event;
  try {
    event = JSON.parse(record.body);
  } catch {
    return null;
  }
  const told = words(event, state.conversations.get(id));
  return told ? { key: record.event_id, at: record.created_at, ...told } : null;
}

function words(event, conversation) {
  const data = event?.data ?? {};
  switch (event?.eventType) {
    case "QUEUED":
      return { note: `Waiting in ${data.queueName ?? data.queueId}` };
    case "TRANSFER":
      return { note: "Transferred to another queue" };
    case "MEMBERS_CHANGED":
      return { note: `${data.memberType === "user" ? "The customer" : data.id} ${data.change}` };
    case "ACTIVITY":
      return activity(data);
    case "CONVERSATION_UPDATE":
      return update(data, conversation);
    default:
      return null;
  }
}

function activity({ name, value }) {
  if (name === "quickReply/action") return { choice: String(value?.data?.title ?? "") };
  if (name === "adaptiveCard/action") return { choice: `Card: ${JSON.stringify(value?.data ?? {})}` };
  return name === "typing" ? null : { note: `Activity ${name}` };
}

function update(data, conversation) {
  if (data.state === "idle") return { note: "The conversation ended" };
  if (data.state === "created")
    return { note: `Conversation on ${data.channel} · ${tenantOf(conversation)?.label ?? ""}` };
  return null;
}
