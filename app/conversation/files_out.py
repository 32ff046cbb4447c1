"""What a bot says with files: they are durable before the bot goes on.

First the file's row, then its object, both before the transaction that writes the output and its delivery;
that one takes the row over. The key is made of the content and of the output's place in the conversation, so
that a turn that is run again after a crash finds what is there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from app.conversation.file import File
from app.conversation.needs import StoreFiles
from app.conversation.owned import owned
from app.conversation.services import Host, Services
from app.conversation.state import ConversationState
from app.files.outgoing import About, NotToBeHad, key_of
from app.files.rows import offer
from app.files.sealed import name_stored
from app.files.service import FileService
from app.files.spool import Spool
from app.files.store import StorageFailed

log = structlog.get_logger(__name__)

_NO_STORAGE = "The storage of files does not take it now."


class FilesOut:
    """Keeps the files that one conversation's bot says."""

    def __init__(self, services: Services, state: ConversationState) -> None:
        self._services = services
        self._state = state

    async def keep(self, need: StoreFiles, host: Host) -> dict[str, Any]:
        """What became of them: see StoreFiles. Raises OwnershipLost."""
        files = self._services.files
        if files is None:
            return {"unsaid": "This process has no storage of files."}
        try:
            kept = [
                await self._keep(files, file, need.position, number, host)
                for number, file in enumerate(need.files)
            ]
        except NotToBeHad as error:
            log.warning("file_not_said", endpoint=self._state.endpoint, reason=str(error))
            return {"unsaid": str(error)}
        return {"attachments": kept}

    async def _keep(
        self, files: FileService, file: File, position: int, number: int, host: Host
    ) -> dict[str, Any]:
        """Have one file stored; the reference to it."""
        services, state = self._services, self._state
        endpoint = services.endpoints[state.endpoint]
        with files.outgoing.spool() as spool:
            about = await self._have(files, file, number, spool, host)
            dialog = state.dialog
            assert dialog is not None
            place = (state.id, dialog.entries[0].event_id, position, number, file.name)
            key = key_of(about.sha256, *place, sealed=endpoint.encrypt)
            async with owned(services.engine, state) as holding:
                await offer(
                    holding,
                    key=key,
                    endpoint=endpoint.name,
                    conversation=state.id,
                    session=state.session.id if state.session else None,
                    position=number,
                    name=name_stored(file.name, sealed=endpoint.encrypt),
                    about=about,
                )
            try:
                await files.outgoing.put(key, spool)
            except StorageFailed as error:
                log.error("file_not_stored", endpoint=endpoint.name, error=str(error))
                raise NotToBeHad(_NO_STORAGE) from None
        url = files.url(key, services.now())
        return {"file": key, "name": file.name, "type": about.type, "size": about.size, "url": url}

    async def _have(self, files: FileService, file: File, number: int, spool: Spool, host: Host) -> About:
        """The file in the spool; what must be fetched is tried again. Raises NotToBeHad."""
        endpoint = self._services.endpoints[self._state.endpoint]
        result: About | NotToBeHad = NotToBeHad(f"attachments[{number}] took too long to be fetched.")

        async def attempt() -> bool:
            nonlocal result
            try:
                result = await files.outgoing.take(endpoint, file.source, file.name, number, spool)
            except NotToBeHad as error:
                result = error
                return not error.again
            return True

        if not file.is_url:
            await attempt()
        else:
            try:
                async with asyncio.timeout(files.settings.timeout):
                    await host.fetch(attempt)
            except TimeoutError:
                pass
        if isinstance(result, NotToBeHad):
            raise result
        return result
