"""Views of deliveries, Prefect runs, events and marks."""

# ruff: noqa: E501 - SQL and what its columns mean, a line each

from __future__ import annotations

from migrations.analytics_v1.talks import CHANNEL, ENDPOINT, EXTERNAL, IS_TEST, endpoint
from migrations.analytics_v1.view import View, counted, seconds

DELIVERIES = View(
    "analytics_deliveries",
    "What was to be sent to 8x8, one row each, in order within a conversation; without what was said",
    f"FROM delivery d JOIN conversation c ON c.id = d.conversation_id WHERE {counted('d.endpoint', 'd.created_at')}",
    (
        ("delivery_id", "d.id", "The key"),
        ("conversation_id", "d.conversation_id", "Its conversation: analytics_conversations"),
        endpoint("d"),
        EXTERNAL,
        CHANNEL,
        IS_TEST,
        ("session_id", "d.session_id", "Its session: analytics_sessions"),
        ("dialog_id", "d.dialog_id", "The invocation of the bot that said it"),
        ("turn_id", "d.event_id", "The input it answers: analytics_turns; null where it answers none"),
        ("place", "d.place", "Its place in the conversation's order; a redrive takes a new one"),
        (
            "kind",
            "d.kind",
            "message; assignment, return, post_agent (of handovers) or note (for the agent alone)",
        ),
        (
            "status",
            "d.status",
            "waiting, sending, in_doubt, sent, withheld (a human had the conversation) or dead",
        ),
        ("reason", "d.reason", "Why it is dead or withheld"),
        ("attempts", "d.attempts", "Requests so far"),
        ("retries", "GREATEST(d.attempts - 1, 0)", "Requests after the first"),
        ("created_at", "d.created_at", "When the bot said it"),
        ("sent_at", "d.sent_at", "When 8x8 took it"),
        ("seconds", seconds("d.created_at", "d.sent_at"), "From created_at to sent_at"),
        ("in_doubt_since", "d.in_doubt_since", "Since when it was not known whether it arrived"),
        ("confirmed_at", "d.confirmed_at", "When it was seen in 8x8"),
        ("confirmed_by", "d.confirmed_by", "echo (it came back as an event) or read_back"),
        ("ended_at", "d.ended_at", "When it was sent, withheld or given up"),
    ),
)

RUNS = View(
    "analytics_runs",
    "Prefect's flow runs, one row for each lively stretch of a session; kept true to Prefect by a scheduled flow",
    f"FROM session_run r JOIN conversation c ON c.id = r.conversation_id WHERE {counted('c.endpoint', 'r.opened_at')}",
    (
        ("run_id", "r.id", "The key"),
        ("flow_run_id", "r.flow_run_id", "Prefect's id of the flow run"),
        ("name", "r.name", "Its name in Prefect: endpoint · conversation · session.number"),
        ("conversation_id", "r.conversation_id", "Its conversation: analytics_conversations"),
        ENDPOINT,
        EXTERNAL,
        IS_TEST,
        ("session_id", "r.session_id", "Its session: analytics_sessions"),
        ("number", "r.number", "Its number within the session, from 1"),
        (
            "state",
            "r.state",
            "Running, Completed, Failed, Crashed or Cancelled; Deleted: Prefect knows it no longer",
        ),
        ("opened_at", "r.opened_at", "When it began"),
        ("ended_at", "r.ended_at", "When it ended; null while it runs"),
        ("seconds", seconds("r.opened_at", "r.ended_at"), "How long it ran"),
        ("turns", "r.turns", "Turns handled in it"),
        ("retries", "r.retries", "Attempts of deliveries that were retried in it"),
        ("worker_id", "r.worker_id", "The worker it ran in"),
    ),
)

EVENTS = View(
    "analytics_events",
    "8x8's webhook events, one row each, without their bodies",
    f"FROM event e LEFT JOIN conversation c ON c.id = e.conversation_id WHERE {counted('e.endpoint', 'e.received_at')}",
    (
        ("event_number", "e.id", "The key; in the order of arrival"),
        ("event_id", "e.event_id", "8x8's id of the event, unique for the endpoint"),
        endpoint("e"),
        (
            "conversation_id",
            "e.conversation_id",
            "Its conversation: analytics_conversations; null where it has none",
        ),
        EXTERNAL,
        ("is_test", "COALESCE(c.is_test, false)", "Of a test conversation: left out of all measures"),
        ("type", "e.type", "8x8's type: MESSAGE, CONVERSATION_UPDATE, …"),
        ("sent_at", "e.sent_at", "The event's own time"),
        ("received_at", "e.received_at", "When it was stored"),
        ("handled_at", "e.processed_at", "When it was handled; null while it waits"),
        ("seconds", seconds("e.received_at", "e.processed_at"), "From received_at to handled_at"),
        ("outcome", "e.outcome", "input (a turn of the bot), noted, echo, ignored, quarantined or failed"),
        ("retry", "e.retry", "How many times 8x8 had sent it before this one was stored"),
        ("late", "e.late", "It was handled after newer events"),
        ("session_id", "e.session_id", "The session it was handled in: analytics_sessions"),
        ("dialog_id", "e.dialog_id", "The invocation of the bot it was handled in"),
    ),
)

MARKS = View(
    "analytics_marks",
    "What bots said of their turns, one row each: chat.understood, chat.intent, chat.goal",
    f"FROM mark m JOIN conversation c ON c.id = m.conversation_id WHERE {counted('m.endpoint', 'm.at')}",
    (
        ("mark_id", "m.id", "The key"),
        ("conversation_id", "m.conversation_id", "Its conversation: analytics_conversations"),
        endpoint("m"),
        EXTERNAL,
        CHANNEL,
        IS_TEST,
        ("session_id", "m.session_id", "Its session: analytics_sessions"),
        ("dialog_id", "m.dialog_id", "The invocation of the bot that said it"),
        ("turn_id", "m.event_id", "The turn: analytics_turns; null after a timeout or a handover"),
        ("kind", "m.kind", "understood, intent or goal"),
        ("value", "m.value", "true or false; the name of the intent or goal"),
        ("at", "m.at", "When the bot said it"),
    ),
)
