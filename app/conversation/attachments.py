"""The files of a message, had before the bot gets it.

Fetching is two transactions with requests between them: the rows of what is wanted, then what became of
each. Both hold the conversation by its epoch. After a crash the rows are there: a file that is stored is
taken as it is, any other is fetched again and stored under the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.conversation.draft import Draft
from app.conversation.inputs import Input
from app.conversation.owned import owned
from app.conversation.services import FETCHES, Host, Services
from app.conversation.state import ConversationState
from app.conversation.store import insert_rows
from app.endpoints import Endpoint
from app.files.incoming import Again
from app.files.rows import Fetched, FileRow, settle, want
from app.files.service import FileService
from app.gateway.meaning import UserInput

#: Files of one message that are fetched; what else there is comes as failed.
MOST = 20


class Attachments:
    """Has the files of one conversation's inputs fetched."""

    def __init__(self, services: Services, state: ConversationState) -> None:
        self._services = services
        self._state = state
        self._had: dict[int, list[dict[str, Any]]] = {}

    @property
    def _endpoint(self) -> Endpoint:
        return self._services.endpoints[self._state.endpoint]

    def wants(self, found: Input) -> bool:
        """Whether an input has files that must be had before it is taken."""
        return (
            self._services.files is not None
            and isinstance(found.meaning, UserInput)
            and bool(found.message.get("attachments"))
            and found.event.id not in self._had
        )

    def filled(self, found: Input) -> Input:
        """The input with what became of its files."""
        had = self._had.get(found.event.id)
        return found if had is None else replace(found, message={**found.message, "attachments": had})

    async def have(self, found: Input, host: Host) -> None:
        """Have the files of an input. That one can't be had is told in the message. Raises OwnershipLost."""
        files = self._services.files
        assert files is not None
        told = found.message["attachments"]
        async with owned(self._services.engine, self._state) as holding:
            rows = await want(
                holding,
                endpoint=self._endpoint.name,
                conversation=self._state.id,
                event=found.event.id,
                attachments=told[:MOST],
                sealed=self._endpoint.encrypt,
            )
        deadline = asyncio.get_running_loop().time() + files.settings.timeout
        with self._services.indicators.typing(self._endpoint, self._state.external_id):
            had = await asyncio.gather(
                *(
                    self._fetch(files, each, row, host, deadline)
                    for each, row in zip(told, rows, strict=False)
                )
            )
        fresh = [(row, fetched) for row, fetched in zip(rows, had, strict=True) if row.state == "wanted"]
        if fresh:
            await self._settle(files, fresh)
        about = [
            _about(files, self._services, each, row, fetched)
            for each, row, fetched in zip(told, rows, had, strict=False)
        ]
        too_many = [{**_plain(each), "state": "failed", "reason": "too_many"} for each in told[MOST:]]
        self._had[found.event.id] = about + too_many

    async def _fetch(
        self, files: FileService, attachment: Mapping[str, Any], row: FileRow, host: Host, deadline: float
    ) -> Fetched:
        """What became of a file; of one that was wanted only, after up to FETCHES attempts."""
        if row.state != "wanted":
            return Fetched(row.state, row.reason, row.scan, row.type, row.size)
        result = Fetched("failed", "timeout")
        tries = 0

        async def attempt() -> bool:
            nonlocal result, tries
            tries += 1
            within = deadline - asyncio.get_running_loop().time()
            if within <= 0:
                return True
            try:
                result = await files.incoming.take(
                    self._endpoint,
                    self._state.external_id,
                    attachment,
                    row.key,
                    within=within,
                    last=tries >= FETCHES,
                )
            except Again as error:
                result = error.failed
                return False
            return True

        await host.fetch(attempt)
        return result

    async def _settle(self, files: FileService, fresh: list[tuple[FileRow, Fetched]]) -> None:
        """Keep what became of files that were fetched, and tell ops what they should look at."""
        services, state = self._services, self._state
        draft = Draft(state, self._endpoint, services.ids, services.now())
        for row, fetched in fresh:
            if fetched.state == "infected":
                draft.incident("file_infected", file=row.id, signature=fetched.signature)
            elif (
                files.settings.clamd is not None
                and fetched.scan == "not_scanned"
                and fetched.size is not None
            ):
                draft.incident("file_not_scanned", file=row.id, given=fetched.state == "stored")
        async with owned(services.engine, state) as holding:
            for row, fetched in fresh:
                await settle(holding, row.id, fetched)
            await insert_rows(holding, "incident", draft.changes.incidents)


def _plain(attachment: Mapping[str, Any]) -> dict[str, Any]:
    """What the sender says, without 8x8's URL: it opens the file for whoever has it, unchecked."""
    return {name: attachment.get(name) for name in ("id", "type", "name")} | {"url": None}


def _about(
    files: FileService, services: Services, attachment: Mapping[str, Any], row: FileRow, fetched: Fetched
) -> dict[str, Any]:
    """The attachment as the bot gets it; see Attachment."""
    about: dict[str, Any] = {**_plain(attachment), "state": fetched.state, "scan": fetched.scan}
    if fetched.type is not None:
        about["type"] = fetched.type
    if fetched.size is not None:
        about["size"] = fetched.size
    if fetched.reason is not None:
        about["reason"] = fetched.reason
    if fetched.state == "stored":
        about |= {"url": files.url(row.key, services.now()), "file": row.key}
    return about
