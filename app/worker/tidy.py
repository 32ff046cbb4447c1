"""What a worker does now and then: sessions whose time is over are ended, what is to go is erased."""

from __future__ import annotations

from app.conversation.lapse import end_lapsed
from app.conversation.privacy.erasure import erase_what_is_left
from app.conversation.services import Services

#: Seconds between two looks.
EVERY = 15.0


class Tidy:
    """Called again and again; all workers may, at once."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """End sessions that lapsed, and erase what could not be erased with its session."""
        await end_lapsed(self._services)
        await erase_what_is_left(self._services.engine)
