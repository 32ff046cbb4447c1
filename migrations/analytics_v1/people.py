"""Views of handovers and contacts."""

# ruff: noqa: E501, S608 - SQL and what its columns mean, a line each

from __future__ import annotations

from migrations.analytics_v1.talks import CHANNEL, EXTERNAL, IS_TEST, endpoint
from migrations.analytics_v1.view import View, count, counted, seconds

HANDOVERS = View(
    "analytics_handovers",
    "Handovers to human agents, one row each",
    f"FROM handover h JOIN conversation c ON c.id = h.conversation_id WHERE {counted('h.endpoint', 'h.requested_at')}",
    (
        ("handover_id", "h.id", "The key"),
        ("conversation_id", "h.conversation_id", "Its conversation: analytics_conversations"),
        endpoint("h"),
        EXTERNAL,
        CHANNEL,
        IS_TEST,
        ("session_id", "h.session_id", "Its session: analytics_sessions"),
        ("dialog_id", "h.dialog_id", "The invocation of the bot that asked for it; null: no bot did"),
        ("queue", "h.queue", "8x8's queue it was asked for"),
        (
            "status",
            "h.status",
            "requested, queued, active or transferred; then its outcome: completed, cancelled, failed or timed_out",
        ),
        ("reason", "h.reason", "Why it ended so, where there is more to say"),
        ("requested_at", "h.requested_at", "When the bot asked"),
        ("queued_at", "h.queued_at", "When 8x8 said that it waits in a queue"),
        ("active_at", "h.active_at", "When the first agent joined"),
        ("ended_at", "h.ended_at", "When it ended; null while it lasts"),
        (
            "waiting_seconds",
            seconds("h.requested_at", "COALESCE(h.active_at, h.ended_at)"),
            "From asking to the first agent, or to the end without one",
        ),
        ("handling_seconds", seconds("h.active_at", "h.ended_at"), "From the first agent to the end"),
        ("transfers", "h.transfers", "How often an agent moved it to another queue"),
        ("agents", "jsonb_array_length(h.agents)", "How many agents joined"),
        ("inactive_count", "h.inactive_count", "How often in a row the user has been silent for too long"),
    ),
)

_SESSIONS = "session s JOIN conversation c ON c.id = s.conversation_id"
_OWN = f"c.contact_id = k.id AND {counted('c.endpoint', 's.started_at')}"

CONTACTS = View(
    "analytics_contacts",
    "The people at the other end, as far as the channel told; personal data",
    f"FROM contact k WHERE {counted('k.endpoint', 'k.first_seen_at')} "
    f"OR EXISTS (SELECT 1 FROM {_SESSIONS} WHERE {_OWN})",
    (
        ("contact_id", "k.id", "The key"),
        endpoint("k"),
        (
            "identity",
            "k.identity",
            "What tells contacts apart: user:… (8x8's user id), address:… (a number the channel has verified) or "
            "conversation:… (nothing else is known)",
        ),
        ("name", "k.profile->>'name'", "As 8x8 gave it"),
        ("email", "k.profile->>'email'", "As 8x8 gave it; nobody has verified it"),
        ("phone", "k.profile->>'phone'", "As 8x8 gave it; nobody has verified it"),
        ("company", "k.profile->>'company'", "As 8x8 gave it"),
        ("language", "k.profile->>'language'", "As 8x8 gave it"),
        ("first_seen_at", "k.first_seen_at", "When it was first told of"),
        ("last_seen_at", "k.last_seen_at", "When it was last told of"),
        ("conversations", count("conversation c", "c.contact_id = k.id"), "Conversations with this contact"),
        (
            "sessions",
            count(_SESSIONS, _OWN),
            "Sessions with this contact; more than one: it returned",
        ),
    ),
)
