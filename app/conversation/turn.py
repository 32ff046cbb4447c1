"""Handling what waits in one owned conversation: events, timers, and the bot's turns.

A turn replays the dialog's journal with the new input and goes on until the bot waits again. Input, outputs
and the event's being handled commit together; before steps run, what was said so far is committed and sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from structlog.contextvars import bind_contextvars, unbind_contextvars

from app.conversation import dialog as dialogs
from app.conversation.attachments import Attachments
from app.conversation.bypass import bypasses_bot, goes_to_bot
from app.conversation.commit import commit
from app.conversation.draft import Draft
from app.conversation.driver import Driver
from app.conversation.files_out import FilesOut
from app.conversation.handover import asking
from app.conversation.handover.clocks import due_timers, time_passed
from app.conversation.handover.following import may_tell_bot
from app.conversation.handover.returning import give_outcome, outcome_due
from app.conversation.inputs import (
    Input,
    as_input,
    find_input,
    is_call,
    meaning_of,
    receive_timer_due,
    session_expired,
)
from app.conversation.journal import THINKING, Entry
from app.conversation.needs import Diverged, Failed, Need, RunSteps
from app.conversation.notes import human_comes, keep_storage, leave_to_the_human, state_change
from app.conversation.outbox import Outbox
from app.conversation.privacy.guarding import Guard
from app.conversation.privacy.heard import masks, recall
from app.conversation.quarantine import DEATHS_ALLOWED, begin_trial, quarantine
from app.conversation.reading import advance, has_files
from app.conversation.services import Host, Services
from app.conversation.state import ConversationState, TimerState, WaitingEvent
from app.conversation.steps import run_steps
from app.conversation.store import waiting_events
from app.conversation.transformers import Ready, Transforming, spoken
from app.endpoints import Endpoint
from app.errors import BotError, ConfigurationError
from app.gateway.meaning import Echo, Injected, Meaning, ReadReceipts, StateChange, Typing, UserInput
from app.sensitive import guard


class TurnTimedOut(BotError):
    """The turn took longer than the endpoint's turn_timeout."""


class Turns:
    """Handles what waits in one conversation. Used by one task at a time."""

    def __init__(self, services: Services, state: ConversationState, outbox: Outbox) -> None:
        self._services = services
        self._state = state
        self._outbox = outbox
        self._waiting: list[WaitingEvent] = []
        self._sending: asyncio.Task[None] | None = None
        self._guard = Guard(state)
        self.arrived: datetime | None = None
        """When the input arrived that was taken last."""
        self._muted = False
        self._overtaken = False
        self._transforming = Transforming(services, state)
        self._files_out = FilesOut(services, state)
        self._attachments = Attachments(services, state)
        self._cancelling: dict[str, bytes] = {}
        self._ready: dict[int, Ready] = {}

    @property
    def _endpoint(self) -> Endpoint:
        return self._services.endpoints[self._state.endpoint]

    async def look(self) -> bool | None:
        """Read what waits. True: there is a turn for the bot; False: only notes; None: nothing."""
        state, now = self._state, self._services.now()
        self._waiting = await waiting_events(self._services.engine, state.id)
        if state.heard is None and masks(self._endpoint):
            await recall(self._services.engine, state)
        self._guard_logs()
        if self._resuming or receive_timer_due(state, now) or due_timers(state, now):
            return True
        if not self._waiting:
            return None
        found = find_input(state, self._endpoint, self._waiting)
        return found is not None or any(may_tell_bot(state, meaning_of(event)) for event in self._waiting)

    @property
    def unhurried(self) -> bool:
        """Whether all that waits is of the kind nobody waits for, as the bot's own messages coming back.

        The receiver tells nobody of these; the next sweep, or the next input, takes them along.
        """
        return bool(self._waiting) and all(
            isinstance(meaning_of(event), Echo | Typing | ReadReceipts) for event in self._waiting
        )

    def session_number(self) -> int:
        """Number of the session that the next turn belongs to."""
        state = self._state
        if state.session is None:
            return state.sessions + 1
        found = find_input(state, self._endpoint, self._waiting)
        expired = found is not None and session_expired(state, self._endpoint, found.event)
        return state.sessions + 1 if expired else state.session.number

    async def handle(self, host: Host) -> None:
        """Handle what `look` found: notes, and at most one input or timeout for the bot."""
        self._guard_logs()
        unbind_contextvars("request")
        self._outbox.host = host
        try:
            await self._handle(host)
        except BaseException as error:
            await self._give_up(at_once=not isinstance(error, Exception))
            raise
        finally:
            self._outbox.host = None

    async def _handle(self, host: Host) -> None:
        clocks = [
            (timer, await asking.ask(self._services, self._state, timer))
            for timer in due_timers(self._state, self._services.now())
        ]
        await self._prepare(host)
        self._overtaken = human_comes(self._state, self._waiting)
        self._muted = self._services.modes.mode(self._endpoint.name) == "silent" and not self._resuming
        await self._services.ids.reserve(events=len(self._waiting))
        draft = self._draft()
        if self._state.deaths >= DEATHS_ALLOWED:
            quarantine(draft, self._waiting)
            await self._commit(draft, turn=True)
        elif self._feed(draft, clocks):
            async with self._on_trial():
                await self._turn(draft, host)
        elif draft.changes:
            await self._commit(draft)
        await self._sent()

    def _guard_logs(self) -> None:
        """What is logged from here on is masked, where the endpoint wants that. A run has its own context."""
        guard(self._guard.values(self._endpoint, self._waiting))

    @property
    def _resuming(self) -> bool:
        """A turn was under way when its worker died: it goes on from its journal."""
        dialog = self._state.dialog
        return dialog is not None and dialog.status == "running"

    def _draft(self) -> Draft:
        now = self._services.now()
        return Draft(self._state, self._endpoint, self._services.ids, now, muted=self._muted)

    @asynccontextmanager
    async def _on_trial(self) -> AsyncIterator[None]:
        """A conversation whose owner died is handled alone, and its turn leaves a mark first."""
        if self._state.deaths == 0:
            yield
            return
        async with self._services.trials.alone(self._state.id, self._state.deaths):
            await begin_trial(self._services.engine, self._state)
            yield

    # inputs

    def _feed(self, draft: Draft, clocks: list[tuple[TimerState, asking.Told]]) -> bool:
        """Take notes up to the first thing for the bot and journal that; false when there is none."""
        state = self._state
        if outcome_due(state):
            give_outcome(draft)
            return draft.drive
        if self._resuming:
            return True
        for event in self._waiting:
            meaning = meaning_of(event)
            found = as_input(state, self._endpoint, event, meaning)
            if found is not None:
                if bypasses_bot(draft, found, self._services.modes):
                    continue
                if receive_timer_due(state, event.received_at):
                    return self._time_out(draft)
                if self._unprepared(found):
                    return False  # it is the first that waits, once these notes are committed
                ready = self._ready.pop(event.id, None)
                ready = ready or self._transforming.plain(self._attachments.filled(found))
                if not ready.dropped:
                    self._take(draft, ready)
                    return True
                dialogs.drop(draft, event, failed=ready.failed)
                continue
            dialogs.take_note(draft, event, cancel=self._cancels(draft, meaning))
            if self._handover_moved(draft):
                return draft.drive
        for timer, told in clocks:
            if timer in state.timers:
                time_passed(draft, timer, told)
                if self._handover_moved(draft):
                    return draft.drive
        return receive_timer_due(state, draft.now) and self._time_out(draft)

    async def _prepare(self, host: Host) -> None:
        """Have the next input's files fetched, and have it transformed."""
        if self._resuming:
            return
        await self._read_for_cancelling()
        found = find_input(self._state, self._endpoint, self._waiting)
        if found is None:
            return
        if self._attachments.wants(found) and goes_to_bot(
            self._state, self._endpoint, found, self._services.modes
        ):
            await self._attachments.have(found, host)
        if self._transforming.needs_preparing(found):
            self._ready[found.event.id] = await self._transforming.input(self._attachments.filled(found))

    async def _read_for_cancelling(self) -> None:
        """Read the files that the bot has read, for its own `cancel_when`: that can't wait for them."""
        handover, files = self._state.handover, self._services.files
        if files is None or handover is None or "cancel" not in handover.wants:
            return
        if self._state.dialog is not None and has_files(self._state.dialog.entries):
            with suppress(ConfigurationError), dialogs.drive(self._services, self._state) as driver:
                await advance(driver, files.reader)
                self._cancelling = driver.files

    def _unprepared(self, found: Input) -> bool:
        """Whether something must happen to an input before it is taken."""
        transform = self._transforming.needs_preparing(found) and found.event.id not in self._ready
        return transform or self._attachments.wants(found)

    def _handover_moved(self, draft: Draft) -> bool:
        """Whether the handover has something for the bot: a signal for a handler, or its outcome."""
        if outcome_due(self._state):
            give_outcome(draft)
            return True
        return draft.drive

    def _cancels(self, draft: Draft, meaning: Meaning) -> bool:
        """Whether the bot's own `cancel_when` takes a message as "stop waiting"."""
        handover, dialog = self._state.handover, self._state.dialog
        if (
            not isinstance(meaning, UserInput)
            or meaning.is_activity
            or handover is None
            or dialog is None
            or handover.dialog_id != dialog.id
            or "cancel" not in handover.wants
        ):
            return False
        try:
            with dialogs.drive(self._services, self._state) as driver:
                for key, content in self._cancelling.items():
                    driver.provide(key, content)
                return dialogs.cancels(driver, str(meaning.message.get("text") or ""))
        except Exception as error:  # the bot's own, and no reason to lose what the user wrote
            draft.incident("bot_failed", dialog=dialog.id, error=f"{type(error).__name__} in cancel_when")
            return False

    def _time_out(self, draft: Draft) -> bool:
        """The bot's `receive(timeout=)` is over."""
        timer, dialog = self._state.timer("receive"), self._state.dialog
        assert timer is not None and dialog is not None
        draft.end_timer(timer, "fired")
        draft.journal(Entry("timeout", None, {}, max(timer.due_at, dialog.entries[-1].at)))
        return True

    def _take(self, draft: Draft, ready: Ready) -> None:
        """Give an input to the open dialog, in a session and a dialog begun for it where none is open."""
        found = ready.found
        state, event = self._state, found.event
        self.arrived = event.received_at
        bind_contextvars(request=event.event_id)
        if session_expired(state, self._endpoint, event):
            draft.end_session("expired")
        session = state.session or draft.start_session(event.received_at)
        session.active_started = True
        if not is_call(event) and not found.is_activity:
            session.last_input_at = event.received_at
        if ready.storage is not None:
            session.storage = ready.storage
        if isinstance(found.meaning, Injected):
            keep_storage(draft, found.meaning.storage)
        draft.save_session()
        draft.answers(event)
        if isinstance(found.meaning, StateChange):
            state_change(draft, event, found.meaning)
        if state.dialog is None:
            dialogs.start_dialog(draft)
        timer = state.timer("receive")
        if timer is not None:
            draft.end_timer(timer, "cancelled")
        dialogs.take_input(draft, found)
        if isinstance(found.meaning, UserInput):
            self._services.indicators.read(self._endpoint, state.external_id, event.at)

    # the bot

    async def _turn(self, draft: Draft, host: Host) -> None:
        """Drive the open dialog until it rests."""
        try:
            driver = dialogs.drive(self._services, self._state)
        except ConfigurationError as error:
            dialogs.rest(draft, Failed(error, "import"))
            await self._commit(draft, turn=True)
            return
        try:
            with self._services.indicators.typing(self._endpoint, self._state.external_id):
                await self._drive(driver, draft, host)
        finally:
            driver.close()

    async def _drive(self, driver: Driver, draft: Draft, host: Host) -> None:
        deadline = asyncio.get_running_loop().time() + self._endpoint.turn_timeout
        while True:
            need = await self._advance(driver, deadline, host)
            await self._services.ids.reserve()
            if isinstance(need, Diverged) and dialogs.restart(draft, need):
                driver.close()
                driver = dialogs.drive(self._services, self._state)
                continue
            produced = driver.drain()
            said = spoken(produced, self._state.channel)
            if self._transforming.changes_outputs():
                said = await self._transforming.outputs(produced, need)
            await self._services.ids.reserve(said=said.count if said is not None else 0)
            dialogs.keep(driver, draft, produced, said, keep_session=not isinstance(need, Diverged))
            if not isinstance(need, RunSteps):
                dialogs.rest(draft, need)
                await self._commit(draft, turn=True)
                return
            draft.dialog_status("running")
            await self._commit(draft)
            self._think(produced)
            draft = self._draft()
            results = run_steps(need.calls, host, self._services, self._endpoint.name)
            try:
                last = False
                while not last:
                    async with asyncio.timeout_at(deadline):
                        entry, last = await anext(results)
                    draft.now = entry.at
                    draft.journal(entry)
                    driver.feed(entry)
                    if not last:
                        await self._commit(draft)
                        draft = self._draft()
            except TimeoutError:
                said = await self._transforming.outputs([], None)
                await self._services.ids.reserve(said=said.count)
                draft = self._draft()
                dialogs.say_at_last(draft, said)
                dialogs.rest(draft, Failed(TurnTimedOut(), "turn_timeout"))
                await self._commit(draft, turn=True)
                return
            finally:
                await results.aclose()
            self._overtaken |= human_comes(
                self._state, await waiting_events(self._services.engine, self._state.id)
            )

    async def _advance(self, driver: Driver, deadline: float, host: Host) -> Need:
        """What the bot needs next; files that it reads are read on the way, those it says are kept."""
        reader = self._services.files.reader if self._services.files is not None else None
        try:
            async with asyncio.timeout_at(deadline):
                return await advance(driver, reader, lambda need: self._files_out.keep(need, host))
        except TimeoutError:
            return Failed(TurnTimedOut(), "turn_timeout")

    def _think(self, produced: list[tuple[int, Entry]]) -> None:
        """Show that the bot is thinking, where it said so before a step."""
        for _, entry in produced:
            if entry.kind == "note" and entry.name == THINKING:
                self._services.indicators.thinking(
                    self._endpoint, self._state.external_id, entry.content["seconds"], after=self._sending
                )

    # commits

    async def _commit(self, draft: Draft, *, turn: bool = False) -> None:
        """Write the draft; what is to be sent goes out meanwhile, in its order."""
        if self._overtaken:
            leave_to_the_human(draft)
        sending = await commit(self._services, draft, turn=turn)
        if turn:
            self._state.deaths = 0
        if sending is not None or draft.changes.deliveries:
            await self._sent()
            self._sending = asyncio.create_task(self._outbox.run(sending))

    async def _give_up(self, *, at_once: bool) -> None:
        """After an error: what is still being sent ends before the conversation is somebody else's."""
        if self._sending is not None:
            task, self._sending = self._sending, None
            if at_once:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sent(self) -> None:
        """Return when what was committed has been tried once."""
        if self._sending is not None:
            task, self._sending = self._sending, None
            await task
