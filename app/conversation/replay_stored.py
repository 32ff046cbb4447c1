"""Replays the dialogs in a database against the bots as they are now: `parley replay` before a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.content import CARD_VERSION
from app.conversation.driver import Bot, DialogStart
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Failed, ReadFile
from app.conversation.privacy.sealed import opened_entry
from app.conversation.replay_check import check
from app.database.tables import metadata
from app.errors import ConfigurationError
from app.files.store import NoSuchFile, StorageFailed
from app.sealing import unseal

_DIALOG = metadata.tables["dialog"]
_CONVERSATION = metadata.tables["conversation"]
_JOURNAL = metadata.tables["journal"]
_SESSION = metadata.tables["session"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one stored dialog. `detail` names kinds, steps and places in code, never a text."""

    dialog_id: int
    endpoint: str
    conversation: str
    bot: str
    status: str
    result: Literal["ok", "diverged", "failed", "unloadable"]
    position: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The dialogs that were replayed, in the order they began."""

    dialogs: tuple[Replayed, ...]

    @property
    def ok(self) -> bool:
        """Whether every one fits its bot."""
        return all(dialog.result == "ok" for dialog in self.dialogs)

    def count(self, result: str) -> int:
        """How many came to this result."""
        return sum(dialog.result == result for dialog in self.dialogs)


async def replay_stored(
    engine: AsyncEngine,
    load_bot: Callable[[str], Bot],
    *,
    since: datetime | None = None,
    endpoint: str | None = None,
    card_versions: Mapping[str, str] | None = None,
    read: Callable[[str], Awaitable[bytes]] | None = None,
) -> Report:
    """Replay every open dialog, and with `since` also the ended ones that began then or later.

    `load_bot` gives the bot of a `module:function`, or raises ConfigurationError. Dialogs that had diverged
    already are left out. `card_versions`: `adaptive_card_version` by endpoint. `read` gives the bytes of a
    stored file by its key, or raises StorageFailed. Reads only.
    """
    bots: dict[str, Bot | ConfigurationError] = {}
    replayed = []
    async with engine.connect() as connection:
        for dialog in (await connection.execute(_dialogs(since, endpoint))).all():
            if dialog.bot not in bots:
                bots[dialog.bot] = _loaded(load_bot, dialog.bot)
            journal = select(_JOURNAL).where(_JOURNAL.c.dialog_id == dialog.id)
            rows = await connection.execute(journal.order_by(_JOURNAL.c.position))
            entries = [
                Entry(row.kind, *opened_entry(row.name, row.content), row.at, row.event_id) for row in rows
            ]
            version = (card_versions or {}).get(dialog.endpoint, CARD_VERSION)
            replayed.append(await _replay(dialog, bots[dialog.bot], entries, version, read))
    return Report(tuple(replayed))


def _dialogs(since: datetime | None, endpoint: str | None) -> Select[Any]:
    query = (
        select(_DIALOG, _CONVERSATION.c.endpoint, _CONVERSATION.c.external_id)
        .join(_CONVERSATION, _CONVERSATION.c.id == _DIALOG.c.conversation_id)
        .join(_SESSION, _SESSION.c.id == _DIALOG.c.session_id)
        .where(_DIALOG.c.status != "diverged", ~_SESSION.c.erase | _SESSION.c.ended_at.is_(None))
        .where(_DIALOG.c.ended_at.is_(None) | exists().where(_JOURNAL.c.dialog_id == _DIALOG.c.id))
        .order_by(_DIALOG.c.id)
    )
    wanted: list[ColumnElement[bool]] = [_DIALOG.c.ended_at.is_(None)]
    if since is not None:
        wanted.append(_DIALOG.c.started_at >= since)
    if endpoint is not None:
        query = query.where(_CONVERSATION.c.endpoint == endpoint)
    return query.where(or_(*wanted))


def _loaded(load_bot: Callable[[str], Bot], path: str) -> Bot | ConfigurationError:
    try:
        return load_bot(path)
    except ConfigurationError as error:
        return error


async def _replay(
    dialog: Any,
    bot: Bot | ConfigurationError,
    entries: list[Entry],
    card_version: str,
    read: Callable[[str], Awaitable[bytes]] | None,
) -> Replayed:
    about = (dialog.id, dialog.endpoint, dialog.external_id, dialog.bot, dialog.status)
    if isinstance(bot, ConfigurationError):
        return Replayed(*about, "unloadable", None, str(bot))
    start = DialogStart(
        dialog_key=f"{dialog.endpoint}/{dialog.id}",
        seed=dialog.seed,
        started_at=dialog.started_at,
        session=unseal(dialog.session_data),
        contact=unseal(dialog.contact_data),
        card_version=card_version,
    )
    files: dict[str, bytes] = {}
    while isinstance(found := check(bot, start, entries, status=dialog.status, files=files), ReadFile):
        try:
            if read is None:
                raise NoSuchFile
            files[found.key] = await read(found.key)
        except StorageFailed as error:
            return Replayed(*about, "unloadable", None, f"a file that the bot reads: {error}")
    if isinstance(found, Diverged):
        return Replayed(*about, "diverged", found.position, found.reason)
    if isinstance(found, Failed):
        return Replayed(*about, "failed", None, found.summary)
    return Replayed(*about, "ok")
