"""The SQL that counts an hour. Each statement fills some columns or parts from one view.

Every count belongs to the hour in which its thing began (a session's first input, an input's arrival, a
handover's request, a delivery's creation), whenever the thing ends: an hour's numbers describe that hour.
"""

# ruff: noqa: S608 - the pieces are constants of this module

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import DateTime, Text

_SPAN = (
    "{at} >= :hour AND {at} < :hour + interval '1 hour' AND NOT v.is_test AND v.endpoint = ANY(:endpoints)"
)


def _bound(statement: str) -> TextClause:
    return text(statement).bindparams(
        bindparam("hour", type_=DateTime(timezone=True)), bindparam("endpoints", type_=ARRAY(Text))
    )


def _counts(source: str, at: str, **columns: str) -> TextClause:
    """Set columns of the hour's rows."""
    names = ", ".join(columns)
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
    return _bound(
        f"INSERT INTO rollup_hour (hour, endpoint, channel, {names}) "
        f"SELECT :hour, v.endpoint, COALESCE(v.channel, ''), {', '.join(columns.values())} "
        f"FROM {source} WHERE {_SPAN.format(at=at)} GROUP BY v.endpoint, COALESCE(v.channel, '') "
        f"ON CONFLICT (hour, endpoint, channel) DO UPDATE SET {updates}"
    )


def _parts(measure: str, source: str, at: str, part: str, condition: str = "true") -> TextClause:
    """Count what there are many of."""
    return _bound(
        f"INSERT INTO rollup_part (hour, endpoint, measure, part, count) "
        f"SELECT :hour, x.endpoint, '{measure}', x.part, count(*) "
        f"FROM (SELECT v.endpoint, left({part}, 200) AS part FROM {source} "
        f"WHERE {_SPAN.format(at=at)} AND {condition}) x "
        f"WHERE x.part IS NOT NULL GROUP BY x.endpoint, x.part"
    )


def _where(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


def _sum(column: str, condition: str = "true") -> str:
    return f"COALESCE(sum({column}) FILTER (WHERE {condition}), 0)"


#: A session whose contact had one before.
_RETURNED = """v.contact_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM conversation c2 JOIN session s2 ON s2.conversation_id = c2.id
    WHERE c2.contact_id = v.contact_id AND s2.started_at < v.started_at
      AND NOT EXISTS (SELECT 1 FROM uncounted u WHERE u.endpoint = c2.endpoint
        AND u.since <= s2.started_at AND (u.until IS NULL OR u.until > s2.started_at)))"""

_SESSIONS = f"(SELECT v.*, {_RETURNED} AS returned FROM analytics_sessions v) v"
_DIALOGS = "analytics_sessions v JOIN dialog d ON d.session_id = v.session_id"

COUNTS = (
    _counts(
        _SESSIONS,
        "v.started_at",
        conversations=_where("v.number = 1"),
        sessions="count(*)",
        contained=_where("v.contained"),
        returning_contacts=_where("v.returned"),
        first_replies="count(v.first_reply_seconds)",
        first_reply_seconds=_sum("v.first_reply_seconds"),
    ),
    _counts(
        "analytics_messages v",
        "v.at",
        messages_user=_where("v.author = 'user'"),
        messages_bot=_where("v.author = 'bot'"),
        messages_agent=_where("v.author = 'agent'"),
    ),
    _counts(
        "(SELECT e.*, c.channel FROM analytics_events e "
        "LEFT JOIN conversation c ON c.id = e.conversation_id) v",
        "v.received_at",
        events="count(*)",
    ),
    _counts(
        "analytics_turns v",
        "v.received_at",
        turns="count(*)",
        unanswered=_where("v.reply_id IS NULL"),
        replies="count(v.replied_at)",
        latency_seconds=_sum("v.latency_seconds"),
    ),
    _counts(
        "analytics_marks v",
        "v.at",
        understood=_where("v.kind = 'understood' AND v.value = 'true'"),
        not_understood=_where("v.kind = 'understood' AND v.value = 'false'"),
    ),
    _counts(
        _DIALOGS,
        "v.started_at",
        dialogs="count(*)",
        dialogs_failed=_where("d.status IN ('failed', 'diverged')"),
    ),
    _counts(
        "analytics_handovers v",
        "v.requested_at",
        handovers="count(*)",
        handovers_active="count(v.active_at)",
        handovers_completed=_where("v.status = 'completed'"),
        handovers_cancelled=_where("v.status = 'cancelled'"),
        handovers_failed=_where("v.status = 'failed'"),
        handovers_timed_out=_where("v.status = 'timed_out'"),
        waiting_seconds=_sum("v.waiting_seconds", "v.active_at IS NOT NULL"),
        handlings="count(v.handling_seconds)",
        handling_seconds=_sum("v.handling_seconds"),
    ),
    _counts(
        "analytics_deliveries v",
        "v.created_at",
        deliveries="count(*)",
        deliveries_sent=_where("v.status = 'sent'"),
        deliveries_withheld=_where("v.status = 'withheld'"),
        deliveries_dead=_where("v.status = 'dead'"),
        retries=_sum("v.retries"),
    ),
)

LATENCY = _bound(
    "INSERT INTO rollup_latency (hour, endpoint, bucket, replies) "
    "SELECT :hour, v.endpoint, analytics_bucket(v.latency_seconds), count(*) FROM analytics_turns v "
    f"WHERE {_SPAN.format(at='v.received_at')} AND v.replied_at IS NOT NULL "
    "GROUP BY v.endpoint, analytics_bucket(v.latency_seconds)"
)

PARTS = (
    _parts("intent", "analytics_marks v", "v.at", "v.value", "v.kind = 'intent'"),
    _parts("goal", "analytics_marks v", "v.at", "v.value", "v.kind = 'goal'"),
    _parts("language", "analytics_sessions v", "v.started_at", "v.language"),
    _parts("drop_off", "analytics_sessions v", "v.started_at", "v.drop_off"),
    _parts(
        "bot_error",
        _DIALOGS,
        "v.started_at",
        "d.bot || ': ' || COALESCE(d.error, d.status)",
        "d.status IN ('failed', 'diverged')",
    ),
    _parts(  # without 8x8's own words
        "handover",
        "analytics_handovers v",
        "v.requested_at",
        "v.status || COALESCE(': ' || split_part(v.reason, ': ', 1), '')",
    ),
    _parts("queue", "analytics_handovers v", "v.requested_at", "v.queue"),
    _parts(  # without 8x8's own words
        "dead_letter",
        "analytics_deliveries v",
        "v.created_at",
        "split_part(v.reason, ':', 1)",
        "v.status = 'dead'",
    ),
    _parts("event", "analytics_events v", "v.received_at", "v.type"),
)
