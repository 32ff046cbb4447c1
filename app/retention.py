"""What is older than an endpoint keeps it is deleted, in small batches.

Batches rather than partitions: endpoints keep things for different times, event ids outlive their bodies, and
rows of one day belong to conversations that are still open; no partition could be dropped as a whole. A batch
is one short transaction over rows that nobody works on any more, found by index, locked rows left out: the
inbox waits for none of it (1,000 rows take some 10 ms).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.cleared import note_cleared
from app.conversation.privacy.erasure import BARE_SETTINGS
from app.endpoints import Endpoint
from app.files.purge import FORGET

BATCH = 1000

_OLD = "now() - make_interval(secs => :seconds)"

#: What is said during a handover is read again for the bot's outcome, however long that takes.
_BODIES = text(
    f"""
    UPDATE event SET body = NULL, payload = NULL WHERE id IN (
        SELECT e.id FROM event e
        WHERE e.endpoint = :endpoint AND e.received_at < {_OLD}
          AND e.processed_at IS NOT NULL AND COALESCE(e.outcome, '') <> 'held'
          AND (e.body IS NOT NULL OR e.payload IS NOT NULL)
          AND NOT EXISTS (
              SELECT 1 FROM handover h LEFT JOIN dialog d ON d.id = h.dialog_id
              WHERE h.conversation_id = e.conversation_id AND h.message_events @> to_jsonb(e.id)
                AND (h.ended_at IS NULL OR d.status = 'running'))
        ORDER BY e.received_at LIMIT :batch FOR UPDATE OF e SKIP LOCKED)
    """  # noqa: S608 - constants only
)

_JOURNALS = text(
    f"""
    DELETE FROM journal WHERE (dialog_id, position) IN (
        SELECT j.dialog_id, j.position FROM journal j
        JOIN dialog d ON d.id = j.dialog_id JOIN conversation c ON c.id = d.conversation_id
        WHERE c.endpoint = :endpoint AND d.ended_at < {_OLD} LIMIT :batch)
    """  # noqa: S608 - constants only
)

#: What a dialog began with goes with its journal; the row is counted, and stays as long as counts do.
_DIALOG_DATA = text(
    f"""
    UPDATE dialog SET session_data = '{{}}', contact_data = '{{}}' WHERE id IN (
        SELECT d.id FROM dialog d JOIN conversation c ON c.id = d.conversation_id
        WHERE c.endpoint = :endpoint AND d.ended_at < {_OLD}
          AND (d.session_data <> '{{}}' OR d.contact_data <> '{{}}')
        LIMIT :batch FOR UPDATE OF d SKIP LOCKED)
    """  # noqa: S608 - constants only
)

_DIALOGS = text(
    f"""
    DELETE FROM dialog WHERE id IN (
        SELECT d.id FROM dialog d JOIN conversation c ON c.id = d.conversation_id
        WHERE c.endpoint = :endpoint AND d.ended_at < {_OLD}
          AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.dialog_id = d.id)
        LIMIT :batch)
    """  # noqa: S608 - constants only
)

_SESSIONS = text(
    f"""
    UPDATE session SET data = '{{}}', storage = '{{}}' WHERE id IN (
        SELECT s.id FROM session s JOIN conversation c ON c.id = s.conversation_id
        WHERE c.endpoint = :endpoint AND s.ended_at < {_OLD} AND (s.data <> '{{}}' OR s.storage <> '{{}}')
        LIMIT :batch FOR UPDATE OF s SKIP LOCKED)
    """  # noqa: S608 - constants only
)

#: The content, 8x8's own words in the reason, and what its attempts say.
_DELIVERIES = text(
    f"""
    WITH old AS (
        SELECT id FROM delivery
        WHERE endpoint = :endpoint AND created_at < {_OLD} AND ended_at < {_OLD}
          AND status IN ('sent', 'withheld', 'dead') AND content->>'erased' IS NULL
        LIMIT :batch FOR UPDATE SKIP LOCKED
    ), attempts AS (
        UPDATE delivery_attempt SET error = NULL
        WHERE delivery_id IN (SELECT id FROM old) AND error IS NOT NULL
    )
    UPDATE delivery SET content = '{{"erased": true}}',
        reason = CASE WHEN status = 'dead' THEN split_part(reason, ':', 1) ELSE reason END
    WHERE id IN (SELECT id FROM old)
    """  # noqa: S608 - constants only
)

#: What the agent was shown, and every signal. What a dialog waits for is needed for its replays.
_HANDOVERS = text(
    f"""
    UPDATE handover SET settings = {BARE_SETTINGS}, signals = '[]', reason = split_part(reason, ':', 1)
    WHERE id IN (
        SELECT h.id FROM handover h
        WHERE h.endpoint = :endpoint AND h.requested_at < {_OLD} AND h.ended_at < {_OLD}
          AND (h.signals <> '[]' OR h.settings <> {BARE_SETTINGS})
          AND NOT EXISTS (SELECT 1 FROM dialog d WHERE d.id = h.dialog_id AND d.ended_at IS NULL)
        LIMIT :batch FOR UPDATE SKIP LOCKED)
    """  # noqa: S608 - constants only
)

_DETAILS = text(
    f"""
    UPDATE incident SET detail = detail - 'reason' WHERE id IN (
        SELECT id FROM incident WHERE endpoint = :endpoint AND at < {_OLD} AND detail ? 'reason'
        LIMIT :batch FOR UPDATE SKIP LOCKED)
    """  # noqa: S608 - constants only
)

#: The bytes follow: see app/files/purge.py. What an open dialog has read is needed for its replays.
_FILES = text(
    f"""
    UPDATE file SET {FORGET} WHERE id IN (
        SELECT f.id FROM file f
        WHERE f.endpoint = :endpoint AND f.created_at < {_OLD} AND f.state <> 'deleted'
          AND NOT EXISTS (
              SELECT 1 FROM dialog d WHERE d.conversation_id = f.conversation_id AND d.ended_at IS NULL)
        LIMIT :batch FOR UPDATE SKIP LOCKED)
    """  # noqa: S608 - constants only
)

_TRANSCRIPTS = text(
    f"""
    DELETE FROM message WHERE id IN (
        SELECT m.id FROM message m JOIN conversation c ON c.id = m.conversation_id
        WHERE c.endpoint = :endpoint AND m.at < {_OLD}
          AND NOT EXISTS (SELECT 1 FROM handover h WHERE h.conversation_id = c.id AND h.ended_at IS NULL)
        LIMIT :batch FOR UPDATE OF m SKIP LOCKED)
    """  # noqa: S608 - constants only
)

_MARKS = text(
    f"""
    DELETE FROM mark WHERE id IN (
        SELECT id FROM mark WHERE endpoint = :endpoint AND at < {_OLD} LIMIT :batch)
    """  # noqa: S608 - constants only
)

_INCIDENTS = text(
    f"""
    DELETE FROM incident WHERE id IN (
        SELECT id FROM incident WHERE endpoint = :endpoint AND at < {_OLD} LIMIT :batch)
    """  # noqa: S608 - constants only
)

_COUNTS = [
    text(
        f"""
        DELETE FROM {table} WHERE ctid IN (
            SELECT ctid FROM {table} WHERE endpoint = :endpoint AND hour < {_OLD} LIMIT :batch)
        """  # noqa: S608 - constants only
    )
    for table in ("rollup_hour", "rollup_latency", "rollup_part")
]

#: A profile that wasn't used goes with the copies that dialogs made of it; a session that is open uses it.
_PROFILES = text(
    f"""
    WITH old AS (
        SELECT k.id FROM contact k
        WHERE k.endpoint = :endpoint AND k.last_seen_at < {_OLD} AND NOT EXISTS (
            SELECT 1 FROM conversation c JOIN session s ON s.conversation_id = c.id
            WHERE c.contact_id = k.id AND s.ended_at IS NULL)
        LIMIT :batch FOR UPDATE SKIP LOCKED
    ), copies AS (
        UPDATE dialog d SET contact_data = '{{}}' FROM conversation c
        WHERE c.id = d.conversation_id AND c.contact_id IN (SELECT id FROM old) AND d.ended_at IS NOT NULL
    )
    DELETE FROM contact WHERE id IN (SELECT id FROM old)
    """  # noqa: S608 - constants only
)

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """Days that an endpoint's things are kept; None: for ever."""

    endpoint: str
    events: float | None
    transcripts: float | None
    analytics: float | None
    profiles: float | None
    files: float | None
    #: Off: a profile goes with its session, and what is deleted by time no session ever used.
    profiles_used: bool = True

    @property
    def counts(self) -> float | None:
        """Days for which everything is there that analytics count; None: for ever."""
        days = (self.events, self.transcripts, self.analytics, self.profiles if self.profiles_used else None)
        return smallest(*(each for each in days if each is not None))


def keep_of(endpoint: Endpoint, retain_days: float) -> Keep:
    """What the endpoint's settings and the process's come to: the smallest positive value wins."""
    retention = endpoint.retention
    # Without profiles a contact goes with its session; what no session ever used goes after a day.
    profile_ttl = endpoint.profile_ttl if endpoint.contact_profiles else 1.0
    return Keep(
        endpoint.name,
        events=smallest(retention.events, retain_days),
        transcripts=smallest(retention.transcripts),
        analytics=smallest(retention.analytics),
        profiles=smallest(profile_ttl),
        files=smallest(retention.files, retention.events, retention.transcripts, retain_days),
        profiles_used=endpoint.contact_profiles,
    )


def smallest(*days: float) -> float | None:
    """The smallest positive one; None where there is none."""
    return min((each for each in days if each > 0), default=None)


async def clear(engine: AsyncEngine, keeps: Iterable[Keep], *, batch: int = BATCH) -> dict[str, int]:
    """Delete what is too old; rows of each kind."""
    done: dict[str, int] = {}
    for keep in keeps:
        plan: Sequence[tuple[str, TextClause, float | None]] = (
            ("bodies", _BODIES, keep.events),
            ("journal_entries", _JOURNALS, keep.events),
            ("dialog_data", _DIALOG_DATA, keep.events),
            ("sessions", _SESSIONS, keep.events),
            ("deliveries", _DELIVERIES, keep.events),
            ("handovers", _HANDOVERS, keep.events),
            ("incident_details", _DETAILS, keep.events),
            ("transcripts", _TRANSCRIPTS, keep.transcripts),
            ("dialogs", _DIALOGS, keep.analytics),
            ("marks", _MARKS, keep.analytics),
            ("incidents", _INCIDENTS, keep.analytics),
            *(("counts", statement, keep.analytics) for statement in _COUNTS),
            ("profiles", _PROFILES, keep.profiles),
            ("files", _FILES, keep.files),
        )
        if keep.counts is not None:
            await note_cleared(engine, keep.endpoint, keep.counts)
        for name, statement, days in plan:
            done.setdefault(name, 0)
            if days is not None:
                done[name] += await by_batches(
                    engine, statement, batch, endpoint=keep.endpoint, seconds=days * _DAY
                )
    return done


async def by_batches(engine: AsyncEngine, statement: TextClause, batch: int, **values: object) -> int:
    """Repeat a statement, a transaction each, until it finds less than a batch; rows in all."""
    total = 0
    while True:
        async with engine.begin() as connection:
            done = (await connection.execute(statement, {"batch": batch, **values})).rowcount
        total += done
        if done < batch:
            return total
