"""What a worker does now and then: sessions whose time is over are ended, what is to go is erased."""

from __future__ import annotations

import structlog

from app.conversation.lapse import end_lapsed
from app.conversation.privacy.erasure import erase_what_is_left
from app.conversation.services import Services
from app.files.purge import purge
from app.files.store import StorageFailed

log = structlog.get_logger(__name__)

#: Seconds between two looks.
EVERY = 15.0


class Tidy:
    """Called again and again; all workers may, at once."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """End sessions that lapsed, erase what could not be erased with its session, delete files."""
        await end_lapsed(self._services)
        erasing = [name for name, each in self._services.endpoints.items() if each.erases]
        await erase_what_is_left(self._services.engine, endpoints=erasing)
        if self._services.files is not None:
            try:
                await purge(self._services.engine, self._services.files.store)
            except StorageFailed as error:
                log.error(
                    "files_not_deleted", error=str(error)
                )  # their rows are there: the next look finds them
