"""Everything that happened in a conversation, as rows of one kind."""

# ruff: noqa: E501 - SQL and what its columns mean, a line each

from __future__ import annotations

from migrations.analytics_v1.talks import ENDPOINT, EXTERNAL, IS_TEST
from migrations.analytics_v1.view import View, counted

#: Source → conversation, at, what, number, about, took, note, flow_run. No text of anybody.
_SOURCES = (
    # a webhook
    """e.conversation_id, e.received_at, 'webhook', e.id, e.type,
        analytics_seconds(e.received_at, e.processed_at),
        COALESCE(e.outcome, 'waits') || CASE WHEN e.late THEN ', late' ELSE '' END
            || CASE WHEN e.retry > 0 THEN ', retry ' || e.retry ELSE '' END, NULL
    FROM event e""",
    # what the bot made of it
    """e.conversation_id, e.received_at, 'turn', e.id, COALESCE(d.bot, ''),
        (SELECT analytics_seconds(e.received_at, x.sent_at) FROM delivery x
         WHERE x.conversation_id = e.conversation_id AND x.event_id = e.id AND x.kind = 'message'
         ORDER BY x.place LIMIT 1),
        'until 8x8 took the first reply', NULL
    FROM event e LEFT JOIN dialog d ON d.id = e.dialog_id WHERE e.outcome = 'input'""",
    """d.conversation_id, d.started_at, 'dialog', d.id, d.bot, analytics_seconds(d.started_at, d.ended_at),
        d.status || COALESCE(': ' || d.error, ''), NULL
    FROM dialog d""",
    """d.conversation_id, j.at, 'step', j.position, j.name, NULL, '', NULL
    FROM journal j JOIN dialog d ON d.id = j.dialog_id WHERE j.kind = 'step'""",
    """f.conversation_id, f.created_at, 'file', f.id,
        CASE f.direction WHEN 'in' THEN 'from the user' ELSE 'from the bot' END || COALESCE(', ' || f.type, ''),
        analytics_seconds(f.created_at, f.stored_at),
        f.state || COALESCE(': ' || f.reason, '') || COALESCE(', ' || f.size || ' bytes', '')
            || CASE f.scan WHEN 'clean' THEN ', scanned' ELSE '' END, NULL
    FROM file f""",
    """d.conversation_id, d.created_at, 'delivery', d.id, d.kind || ' ' || d.id,
        analytics_seconds(d.created_at, d.sent_at),
        d.status || COALESCE(': ' || d.reason, '') || COALESCE(', confirmed by ' || d.confirmed_by, ''), NULL
    FROM delivery d""",
    # attempts that went well at once tell no more than their delivery
    """d.conversation_id, a.started_at, 'attempt', a.id, 'delivery ' || a.delivery_id || ', attempt ' || a.number,
        analytics_seconds(a.started_at, a.finished_at),
        COALESCE(a.outcome, 'under way') || COALESCE(' (' || a.status_code || ')', ''), NULL
    FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id
    WHERE a.number > 1 OR a.outcome IS DISTINCT FROM 'sent'""",
    """h.conversation_id, h.requested_at, 'handover', h.id, 'asked for' || COALESCE(', queue ' || h.queue, ''),
        analytics_seconds(h.requested_at, h.ended_at), h.status || COALESCE(': ' || h.reason, ''), NULL
    FROM handover h""",
    """h.conversation_id, t.at, CASE WHEN t.cause IN ('joined', 'left', 'wrote') THEN 'agent' ELSE 'handover' END,
        h.id, t.cause || COALESCE(' ' || t.agent_id, ''), NULL, t.status, NULL
    FROM handover_transition t JOIN handover h ON h.id = t.handover_id""",
    """m.conversation_id, m.at, 'mark', m.id, m.kind || ': ' || m.value, NULL, '', NULL
    FROM mark m""",
    """r.conversation_id, r.opened_at, 'run', r.id, r.name, analytics_seconds(r.opened_at, r.ended_at),
        r.state || ', ' || r.turns || ' turns, ' || r.retries || ' retries', r.flow_run_id
    FROM session_run r""",
    """i.conversation_id, COALESCE(i.started_at, i.asked_at), 'interaction', i.id, i.interaction_id,
        analytics_seconds(i.started_at, i.ended_at), CASE WHEN i.ended_at IS NULL THEN 'open' ELSE 'ended' END, NULL
    FROM interaction i""",
    """i.conversation_id, i.at, 'incident', i.id, i.kind, NULL,
        CASE WHEN i.resolved_at IS NULL THEN 'open' ELSE 'resolved' END, NULL
    FROM incident i WHERE i.conversation_id IS NOT NULL""",
)

_NAMES = ("conversation_id", "at", "what", "number", "about", "took", "note", "flow_run")
_TYPES = ("bigint", "timestamptz", "text", "bigint", "text", "double precision", "text", "uuid")

#: What the console shows: of every conversation, whether its endpoint collects or not.
HAPPENING = (
    "CREATE VIEW happening AS SELECT "
    + ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in zip(_NAMES, _TYPES, strict=True))
    + " WHERE false\nUNION ALL SELECT "
    + "\nUNION ALL SELECT ".join(_SOURCES)
)

#: A bot may name a step after what was said, and that is erased once the session has ended.
_NO_OPEN_STEP = """(h.what <> 'step' OR NOT EXISTS (SELECT 1 FROM session s
    WHERE s.conversation_id = h.conversation_id AND s.started_at <= h.at AND s.ended_at IS NULL))"""

TIMELINE = View(
    "analytics_timeline",
    "Everything that happened in a conversation, one row each; ask for one conversation at a time",
    "FROM happening h JOIN conversation c ON c.id = h.conversation_id "
    f"WHERE {counted('c.endpoint', 'h.at')} AND {_NO_OPEN_STEP}",
    (
        ("conversation_id", "h.conversation_id", "Its conversation: analytics_conversations"),
        ENDPOINT,
        EXTERNAL,
        IS_TEST,
        ("at", "h.at", "When it happened, or began"),
        (
            "what",
            "h.what",
            "webhook, turn, dialog, step, file, delivery, attempt, handover, agent, mark, run, interaction or incident",
        ),
        (
            "number",
            "h.number",
            "Its key in the view that tells more; of a step its place, of an agent the handover's",
        ),
        ("about", "h.about", "What exactly: an event's type, a bot, a queue, 8x8's interaction id, …"),
        ("seconds", "h.took", "How long it took; null while it lasts, or where it has no length"),
        ("note", "h.note", "What became of it"),
        ("flow_run_id", "h.flow_run", "Prefect's id of the flow run, of runs"),
    ),
)
