"""Reading a whole conversation into memory, once after each claim."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.sealed import opened_profile
from app.conversation.chosen import last_turn
from app.conversation.handover.store import last_handover
from app.conversation.journal import Entry
from app.conversation.privacy.sealed import opened_entry
from app.conversation.state import ConversationState, DialogState, SessionState, TimerState
from app.database.tables import metadata
from app.errors import OwnershipLost
from app.gateway.rendering import is_numbered
from app.sealing import unseal

_CONVERSATION = metadata.tables["conversation"]
_CONTACT = metadata.tables["contact"]
_SESSION = metadata.tables["session"]
_DIALOG = metadata.tables["dialog"]
_JOURNAL = metadata.tables["journal"]
_TIMER = metadata.tables["timer"]

_LEFT_RUNNING = text(
    """
    UPDATE session_run SET ended_at = now(), state = 'Crashed'
    WHERE conversation_id = :id AND ended_at IS NULL
      AND EXISTS (SELECT 1 FROM conversation WHERE id = :id AND epoch = :epoch)
    RETURNING flow_run_id
    """
)


async def load(
    connection: AsyncConnection, conversation_id: int, *, take_over: bool, epoch: int | None = None
) -> ConversationState:
    """The conversation as stored. At a take-over the runs that the dead owner left are closed as Crashed.

    Raises OwnershipLost where it has not that epoch.
    """
    row = (
        await connection.execute(
            select(_CONVERSATION, _CONTACT.c.profile, _CONTACT.c.identity)
            .outerjoin(_CONTACT, _CONTACT.c.id == _CONVERSATION.c.contact_id)
            .where(_CONVERSATION.c.id == conversation_id)
        )
    ).one()
    if epoch is not None and row.epoch != epoch:
        raise OwnershipLost
    state = ConversationState(
        id=row.id,
        endpoint=row.endpoint,
        external_id=row.external_id,
        epoch=row.epoch,
        channel=row.channel,
        contact_id=row.contact_id,
        contact=opened_profile(row.profile),
        contact_identity=row.identity,
        known_by=row.known_by,
        state=row.state,
        state_at=row.state_at,
        assignment=row.assignment,
        control=row.control,
        handled_at=row.handled_at,
        sessions=row.sessions,
        deaths=row.deaths,
    )
    if state.sessions:
        await _session(connection, state)
        state.dialog = await _dialog(connection, conversation_id)
        if state.dialog is None and state.session is not None and is_numbered(state.channel):
            state.last_words = await _last_words(connection, state.session.id)
    if state.sessions or state.control != "bot":
        state.timers = await _timers(connection, conversation_id)
        await _handover(connection, state)
    if take_over:
        crashed = await connection.execute(_LEFT_RUNNING, {"id": conversation_id, "epoch": row.epoch})
        state.left_running = [run for run in crashed.scalars() if run is not None]
    return state


async def _handover(connection: AsyncConnection, state: ConversationState) -> None:
    """The open handover; or the last one, where the open dialog has not had its outcome yet."""
    handover, state.ended_handover = await last_handover(connection, state.id)
    if handover is None:
        return
    dialog = state.dialog
    awaited = (
        dialog is not None
        and dialog.id == handover.dialog_id
        and not any(entry.kind == "outcome" for entry in dialog.entries[(handover.position or 0) + 1 :])
    )
    if handover.machine.open or awaited:
        state.handover = handover


async def _session(connection: AsyncConnection, state: ConversationState) -> None:
    """The newest session: the open one, or the last that ended."""
    query = select(_SESSION).where(_SESSION.c.conversation_id == state.id)
    row = (await connection.execute(query.order_by(_SESSION.c.number.desc()).limit(1))).one_or_none()
    if row is None:
        return
    session = SessionState(
        id=row.id,
        number=row.number,
        data=unseal(row.data),
        started_at=row.started_at,
        last_input_at=row.last_input_at,
        runs=row.runs,
        divergences=row.divergences,
        active_started=row.active_started,
        language=row.language,
        locale=row.locale,
        storage=unseal(row.storage),
        private=row.private,
    )
    if row.ended_at is None:
        state.session = session
    else:
        state.ended_session = session


async def _dialog(connection: AsyncConnection, conversation_id: int) -> DialogState | None:
    query = select(_DIALOG).where(_DIALOG.c.conversation_id == conversation_id, _DIALOG.c.ended_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return DialogState(
        id=row.id,
        bot=row.bot,
        seed=row.seed,
        started_at=row.started_at,
        session_data=unseal(row.session_data),
        contact_data=unseal(row.contact_data),
        status=row.status,
        private=row.private,
        entries=await journal_entries(connection, row.id),
    )


async def _last_words(connection: AsyncConnection, session_id: int) -> list[Entry]:
    """Of the session's newest dialog: ids come by the block, so one from another worker may be higher."""
    query = select(_DIALOG.c.id).where(_DIALOG.c.session_id == session_id)
    newest = query.order_by(_DIALOG.c.started_at.desc(), _DIALOG.c.id.desc()).limit(1)
    last = (await connection.execute(newest)).scalar_one_or_none()
    return [] if last is None else last_turn(await journal_entries(connection, last))


async def journal_entries(connection: AsyncConnection, dialog_id: int) -> list[Entry]:
    """A dialog's journal, in order."""
    query = select(_JOURNAL).where(_JOURNAL.c.dialog_id == dialog_id).order_by(_JOURNAL.c.position)
    return [_entry(row) for row in await connection.execute(query)]


def _entry(row: Any) -> Entry:
    name, content = opened_entry(row.name, row.content)
    return Entry(kind=row.kind, name=name, content=content, at=row.at, event_id=row.event_id)


async def _timers(connection: AsyncConnection, conversation_id: int) -> list[TimerState]:
    query = select(_TIMER).where(_TIMER.c.conversation_id == conversation_id, _TIMER.c.ended_at.is_(None))
    return [
        TimerState(
            id=row.id, kind=row.kind, due_at=row.due_at, dialog_id=row.dialog_id, position=row.position
        )
        for row in await connection.execute(query.order_by(_TIMER.c.due_at))
    ]
