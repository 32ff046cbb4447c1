"""Where a session's turns run: in a Prefect run that is open, or plainly.

The worker knows only these protocols; flows/conversation.py has Prefect's side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from app.conversation.services import Host, PlainHost

Handle = Callable[[Host], Awaitable[None]]
#: One try to settle a delivery: true when nothing is left to retry.
Attempt = Callable[[], Awaitable[bool]]


class Run(Protocol):
    """One run of a session."""

    session_number: int
    turns: int
    retries: int

    @property
    def flow_run_id(self) -> UUID | None:
        """The run's id in Prefect, once it is open."""

    @property
    def ended(self) -> bool:
        """Whether it takes no more turns."""

    @property
    def final_state(self) -> str:
        """Name of the state it ended in."""

    async def opened(self, within: float) -> bool:
        """Whether the run is open, waiting for it at most `within` seconds."""

    async def turn(self, handle: Handle) -> None:
        """Handle a turn in the run, or directly if the run ends before it takes the turn.

        Raises what `handle` raises.
        """

    async def retry(self, attempt: Attempt, what: str) -> None:
        """Try a delivery again and again for a while, as one task with retries, named for what it is."""

    def close(self) -> None:
        """Let the run end once its turn is over."""

    async def wait_closed(self) -> None:
        """Return when Prefect has been told of the end."""


class Runs(Protocol):
    """Opens runs."""

    async def start(self) -> None:
        """Begin; called once in the worker's event loop."""

    async def stop(self, within: float) -> None:
        """End what is open, in at most `within` seconds."""

    def open(self, *, endpoint: str, conversation: str, bot: str, session: int, number: int) -> Run | None:
        """Begin to open a run named `endpoint · conversation · session.number`; None: not now."""

    def taken_over(self, *, endpoint: str, conversation: str, left: Sequence[UUID]) -> None:
        """Tell Prefect, later, that the runs of the conversation's dead owner have crashed.

        `left` are those that were stored as running; there may be one that was not stored yet.
        """

    async def note(self, flow_run: UUID, markdown: str) -> None:
        """Keep a summary with a run that has ended; where that can't be done now, it is left out."""


class NoRuns:
    """No Prefect: every turn runs plainly."""

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self, within: float) -> None:
        """Nothing to end."""

    def open(self, *, endpoint: str, conversation: str, bot: str, session: int, number: int) -> Run | None:
        """Never."""
        return None

    def taken_over(self, *, endpoint: str, conversation: str, left: Sequence[UUID]) -> None:
        """Nobody to tell."""

    async def note(self, flow_run: UUID, markdown: str) -> None:
        """Nowhere to keep it."""


class Job:
    """A turn asked of a run. Whoever takes it first runs it: the run, or after the run's end its asker."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._taken = False
        self.begun = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bool:
        """True for the first taker."""
        taken, self._taken = self._taken, True
        return not taken

    async def execute(self, host: Host | None = None) -> None:
        """Run the turn and tell its asker how it ended."""
        self.begun = True
        try:
            await self._handle(host or PlainHost())
        except BaseException as error:
            if not self.done.done():
                self.done.set_exception(error if isinstance(error, Exception) else InterruptedTurn())
                self.done.exception()  # looked at: the asker may have gone
            raise
        if not self.done.done():
            self.done.set_result(None)


class Retrying:
    """A delivery's retries asked of a run."""

    def __init__(self, attempt: Attempt, what: str) -> None:
        self._attempt = attempt
        self.what = what
        self._taken = False
        self._error: Exception | None = None
        self.attempts = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bool:
        """True for the first taker."""
        taken, self._taken = self._taken, True
        return not taken

    async def attempt(self) -> bool:
        """One try: true when there is nothing more to try here."""
        self.attempts += 1
        try:
            return await self._attempt()
        except Exception as error:
            self._error = error
            return True

    def finish(self) -> None:
        """No more tries: tell the asker."""
        if self.done.done():
            return
        if self._error is not None:
            self.done.set_exception(self._error)
        else:
            self.done.set_result(None)


class InterruptedTurn(Exception):
    """The run was ended from outside in the middle of a turn: the database says how far it came."""
