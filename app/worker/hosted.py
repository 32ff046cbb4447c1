"""A conversation that this worker has open: handled when something waits, given back when it is quiet."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    PendingRollbackError,
    ProgrammingError,
    ResourceClosedError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.conversation.loading import load
from app.conversation.outbox import Outbox
from app.conversation.services import PlainHost, Services
from app.conversation.state import ConversationState
from app.conversation.turn import Turns
from app.errors import OwnershipLost
from app.worker.claims import Claim, release
from app.worker.runs import InterruptedTurn, Runs
from app.worker.session_runs import SessionRuns

log = structlog.get_logger(__name__)

#: A retry further away than this is left to `due_at`.
RETRY_WITHIN = 60.0
#: A timer is looked at so many seconds after it is due, so that no clock's last digit makes it too early.
TIMER_MARGIN = 0.001


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Times in seconds."""

    linger: float
    run_wait: float


class Hosted:
    """One open conversation. `live` runs until it is quiet for `linger` seconds, or told to close."""

    def __init__(
        self, services: Services, worker: int, claim: Claim, runs: Runs, settings: HostSettings
    ) -> None:
        self.claim = claim
        self.idle_since: float | None = None
        """Monotonic time since when it only waits; None while it works."""
        self._services = services
        self._worker = worker
        self._runs = runs
        self._settings = settings
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._look_at_outbox = True
        self._swept = True
        self._retrying: asyncio.Task[None] | None = None

    def wake(self, *, due: bool = False) -> None:
        """Something waits. `due`: the database said so, so it may be a delivery as well as an event."""
        self._look_at_outbox = self._look_at_outbox or due
        self._swept = self._swept or due
        self._wake.set()

    def close(self) -> None:
        """Finish what is being done and give the conversation back."""
        self._closing.set()
        self._wake.set()

    async def live(self) -> bool:
        """Handle what comes; true when the conversation may be due again as it was given back."""
        trouble = failed = False
        session_runs: SessionRuns | None = None
        try:
            async with self._services.engine.begin() as connection:
                state = await load(
                    connection,
                    self.claim.conversation_id,
                    take_over=self.claim.take_over,
                    epoch=self.claim.epoch,
                )
            if self.claim.take_over:
                self._runs.taken_over(
                    endpoint=state.endpoint, conversation=state.external_id, left=state.left_running
                )
            session_runs = SessionRuns(
                self._services, self._runs, state, self._worker, self._settings.run_wait
            )
            await self._loop(state, session_runs)
        except OwnershipLost:
            self._services.stats.leases_lost += 1
            log.info("ownership_lost", conversation=self.claim.conversation_id)
            return True  # whoever had it since may have given it back, while it was hosted here
        except asyncio.CancelledError:  # the worker ends, and has waited for long: that is nobody's fault
            if self._retrying is not None:
                self._retrying.cancel()
            await self._release(trouble=False, failed=False)
            raise
        except InterruptedTurn:
            log.warning("turn_interrupted", conversation=self.claim.conversation_id)
        except Exception as error:
            trouble, failed = True, not is_outage(error)
            log.error(
                "conversation_failed",
                conversation=self.claim.conversation_id,
                endpoint=self.claim.endpoint,
                error=type(error).__name__,
                exc_info=failed,
            )
        finally:
            self._services.trials.forget(self.claim.conversation_id)
            self._closing.set()
            if self._retrying is not None:
                await asyncio.gather(self._retrying, return_exceptions=True)
            if session_runs is not None:
                session_runs.close()
        return await self._release(trouble, failed)

    async def _release(self, trouble: bool, failed: bool) -> bool:
        try:
            async with self._services.engine.begin() as connection:
                claim = self.claim
                return await release(
                    connection,
                    self._worker,
                    claim.conversation_id,
                    claim.epoch,
                    trouble=trouble,
                    failed=failed,
                )
        except (SQLAlchemyError, OSError) as error:
            # It stays this worker's in the database, and is claimed again when that answers.
            log.warning("release_failed", conversation=self.claim.conversation_id, error=type(error).__name__)
            return False

    async def _loop(self, state: ConversationState, session_runs: SessionRuns) -> None:
        outbox = Outbox(self._services, state)
        turns = Turns(self._services, state, outbox)
        quiet_since = time.monotonic()
        while not self._closing.is_set():
            self.idle_since = None
            found = await turns.look() if self._may_wait(state) else None
            if found or (found is False and (self._swept or not turns.unhurried)):
                self._swept = False
                if found:
                    turns.arrived = None
                    await session_runs.turn(turns)
                    self._count(turns.arrived)
                else:
                    await turns.handle(PlainHost())
                quiet_since = time.monotonic()
                self._retry(outbox, session_runs)
                continue
            if self._look_at_outbox and not outbox.busy:
                self._look_at_outbox = False
                await outbox.run()
                self._retry(outbox, session_runs)
            self._services.trials.forget(self.claim.conversation_id)
            left = quiet_since + self._settings.linger - time.monotonic()
            if left <= 0:
                return
            await self._wait(min(left, self._until_timer(state)))

    def _may_wait(self, state: ConversationState) -> bool:
        """Whether something may wait: it was said so, something was left, or a timer's time has come."""
        told = self._wake.is_set()
        self._wake.clear()
        return told or state.due or self._until_timer(state) <= TIMER_MARGIN

    def _until_timer(self, state: ConversationState) -> float:
        """Seconds until the next timer."""
        if not state.timers:
            return float("inf")
        due = min(timer.due_at for timer in state.timers)
        return max((due - self._services.now()).total_seconds(), 0.0) + TIMER_MARGIN

    def _count(self, arrived: datetime | None) -> None:
        stats = self._services.stats
        stats.turns += 1
        if arrived is not None:
            stats.answered((self._services.now() - arrived).total_seconds())

    async def _wait(self, seconds: float) -> None:
        self.idle_since = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    # retries

    def _retry(self, outbox: Outbox, session_runs: SessionRuns) -> None:
        """See to it that a delivery which failed is tried again soon, beside whatever else happens."""
        if self._retrying is not None and self._retrying.done():
            self._retrying.result()
            self._retrying = None
        if self._retrying is None and outbox.later is not None and self._soon(outbox.later):
            self._retrying = asyncio.create_task(self._retry_soon(outbox, session_runs))

    def _soon(self, moment: datetime) -> bool:
        return (moment - self._services.now()).total_seconds() <= RETRY_WITHIN

    async def _retry_soon(self, outbox: Outbox, session_runs: SessionRuns) -> None:
        async def attempt() -> bool:
            if outbox.later is not None:
                await self._pause_until(outbox.later)
            if not self._closing.is_set():
                await outbox.run()
            return outbox.later is None or self._closing.is_set()

        try:
            await session_runs.retry(attempt, outbox.what)
        except OwnershipLost:
            self.close()
        except (SQLAlchemyError, OSError) as error:
            log.warning("retry_failed", conversation=self.claim.conversation_id, error=type(error).__name__)
            self.close()
        self.wake(due=outbox.later is not None)

    async def _pause_until(self, moment: datetime) -> None:
        seconds = (moment - self._services.now()).total_seconds()
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._closing.wait()
            except TimeoutError:
                pass


def is_outage(error: Exception) -> bool:
    """Whether the database was away or slow, rather than this conversation being a problem."""
    if isinstance(error, DBAPIError):
        return not isinstance(error, DataError | IntegrityError | ProgrammingError)
    return isinstance(error, PoolTimeout | ResourceClosedError | PendingRollbackError | OSError)
