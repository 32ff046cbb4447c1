"""Chat: what a bot talks through, and the only thing it awaits.

Every method that is awaited moves along the dialog's tape. Where the tape has no more to give, it suspends
the bot: the driver then returns what is needed, and sends the bot on once that has been fed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from math import ceil
from random import Random
from types import coroutine
from typing import Any, Literal, Never, TypeVar, overload

from app.conversation import content as contents
from app.conversation import marks
from app.conversation.contact import Contact
from app.conversation.content import Card, QuickReply
from app.conversation.file import File, check_files
from app.conversation.journal import THINKING, Entry
from app.conversation.jsonvalue import copy_json
from app.conversation.message import Message
from app.conversation.needs import RunSteps, StepSpec
from app.conversation.outcome import HandoverOutcome
from app.conversation.params import call, handover_params, seconds, step_spec
from app.conversation.privacy.stretch import Analytics, Private
from app.conversation.tape import Tape
from app.conversation.typed import Content
from app.errors import BotError, NoAnswer, StepFailed, StepInterrupted
from app.gateway.meaning import ACTIVITY

T = TypeVar("T")

Handler = Callable[["Chat"], Awaitable[None]]
InactiveHandler = Callable[["Chat", int], Awaitable[None]]

#: A bot that goes on calling a closed Chat more often than this is left alone, suspended for ever.
_PATIENCE = 1000


class ChatClosed(BaseException):
    """The dialog is over for this call of the bot: nothing can be said or received any more.

    A BaseException, so that `except Exception` in a bot doesn't stop its coroutine from being closed.
    """


class Chat:
    """One dialog with a user. Never keep it beyond the bot's own call."""

    __slots__ = (
        "_analytics",
        "_calls",
        "_card_version",
        "_contact",
        "_handling",
        "_late",
        "_message",
        "_random",
        "_seed",
        "_session",
        "_tape",
    )

    def __init__(
        self,
        tape: Tape,
        *,
        seed: int,
        session: Mapping[str, Any],
        contact: Mapping[str, Any],
        card_version: str = contents.CARD_VERSION,
    ) -> None:
        self._tape = tape
        self._card_version = card_version
        self._seed = seed
        self._session: dict[str, Any] = copy_json(session)
        self._contact = Contact(contact, self._note)
        self._analytics = Analytics(self._note)
        self._message = Message()
        self._random: Random | None = None
        self._calls = 0  # calls made and not yet awaited
        self._late = 0  # calls after the end
        self._handling = False  # a handler of a handover runs

    @property
    def message(self) -> Message:
        """The newest input; at first the one that started the dialog."""
        return self._message

    @property
    def session(self) -> dict[str, Any]:
        """What the bot keeps for this session, across its dialogs: JSON values only."""
        return self._session

    @property
    def contact(self) -> Contact:
        """What is known of the user: name, email, phone, language, … as 8x8 reports them; see contact.py."""
        return self._contact

    @property
    def analytics(self) -> Analytics:
        """What stays out of transcript and analytics: `chat.analytics.drop("text")`."""
        return self._analytics

    def private(self) -> Private:
        """`async with chat.private():` keeps what is said meanwhile out of transcript and analytics."""
        self._calls += 1
        return Private(self._tape, self._note, self._made)

    @property
    def random(self) -> Random:
        """Random numbers that are the same in every replay."""
        if self._random is None:
            self._random = Random(self._seed)  # noqa: S311 - must be repeatable, is no secret
        return self._random

    def now(self) -> datetime:
        """The time (aware, UTC) of the last thing that happened in the dialog; the same in every replay."""
        return self._tape.at

    def understood(self, value: bool = True) -> None:
        """Note, for those who measure, whether the newest input was understood. Nothing to await."""
        self._note("understood", marks.understood(value))

    def intent(self, name: str) -> None:
        """Note what the user wants, such as "cancel order". Not what was written: names are counted."""
        self._note("intent", marks.named("intent", name))

    def goal(self, name: str) -> None:
        """Note that the dialog reached what it was for, such as "ordered"."""
        self._note("goal", marks.named("goal", name))

    def say(
        self,
        text: str | Content | None = None,
        *,
        quick_replies: Iterable[str | QuickReply] | None = None,
        card: Card | Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
        attachments: Iterable[File] | None = None,
        to: Literal["user", "agent", "both"] = "user",
    ) -> Coroutine[Any, Any, None]:
        """Send a message: a text, an Adaptive Card or both, with quick replies; or `raw`, 8x8's own form.

        Instead of a text it takes typed content: Buttons, ListMessage, Gallery, Image, … (see typed.py).
        During a handover a message is seen by the user and the agent alike; `to="agent"` (a text only) is
        shown to the agent alone, as a note beside the conversation. Raises BotError when it can't be sent:
        empty, longer than 10,000 characters, NUL or a lone surrogate, a card newer than the endpoint's
        `adaptive_card_version`.

        `attachments` are files (see file.py), kept by Parley before the bot goes on. One that can't be had
        (no such file, too large, not to be fetched) is a BotError, and nothing is said.
        """
        files = check_files(attachments)
        content = contents.output(text, quick_replies, card, raw, self._card_version, files=bool(files))
        alone = isinstance(text, str) and card is None and raw is None and quick_replies is None and not files
        if to == "agent" and not alone:
            raise BotError('say(to="agent") takes a text alone.')
        if to != "user":
            content = {**content, "to": to}
        self._calls += 1
        return self._say(content, files)

    def thinking(self, seconds: float = 60) -> Coroutine[Any, Any, None]:
        """Show the user that the next step takes a while: at most so many seconds, 1 to 600. Best effort.

        A note in the journal: adding or removing one upsets no stored dialog.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 600:
            raise BotError("thinking() takes seconds from 1 to 600.")
        self._calls += 1
        return self._thinking(ceil(seconds))

    def receive(self, timeout: float | timedelta | None = None) -> Coroutine[Any, Any, Message]:
        """The user's next message. Raises TimeoutError when `timeout` (seconds) passes before it comes."""
        wait = seconds(timeout, "receive(timeout=)")
        self._calls += 1
        return self._receive(wait)

    @overload
    def ask(
        self,
        text: str | Content | None = None,
        *,
        parse: None = None,
        retry: str | Content | None = None,
        attempts: int = 3,
        timeout: float | timedelta | None = None,
        quick_replies: Iterable[str | QuickReply] | None = None,
        card: Card | Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
        attachments: Iterable[File] | None = None,
    ) -> Coroutine[Any, Any, str]: ...

    @overload
    def ask(
        self,
        text: str | Content | None = None,
        *,
        parse: Callable[[str], T],
        retry: str | Content | None = None,
        attempts: int = 3,
        timeout: float | timedelta | None = None,
        quick_replies: Iterable[str | QuickReply] | None = None,
        card: Card | Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
        attachments: Iterable[File] | None = None,
    ) -> Coroutine[Any, Any, T]: ...

    def ask(
        self,
        text: str | Content | None = None,
        *,
        parse: Callable[[str], Any] | None = None,
        retry: str | Content | None = None,
        attempts: int = 3,
        timeout: float | timedelta | None = None,
        quick_replies: Iterable[str | QuickReply] | None = None,
        card: Card | Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
        attachments: Iterable[File] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Say something (all that `say` takes) and return what `parse` makes of the answer's text.

        Without `parse` it is the text itself: of a click, its title. A card that was submitted has no text:
        what was filled in is in `chat.message.data`. When `parse` raises ValueError, `retry` (a text or
        typed content; else the question with an apology, without its attachments) is said and the next
        answer tried; after `attempts` of them NoAnswer is raised. TimeoutError as in `receive`, for each
        attempt. A message of kind "activity" is no answer: it is passed over.
        """
        files = check_files(attachments)
        choices = None if quick_replies is None else list(quick_replies)
        question = contents.output(text, choices, card, raw, self._card_version, files=bool(files))
        again = contents.apologetic(question)
        if retry is not None:
            again = contents.output(retry, choices, None, None, self._card_version)
        if attempts < 1:
            raise BotError("ask(attempts=) must be at least 1.")
        wait = seconds(timeout, "ask(timeout=)")
        self._calls += 1
        return self._ask(question, files, again, parse, attempts, wait)

    def step(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        retry: bool = True,
        retries: int = 2,
        timeout: float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Run `function(*args, **kwargs)` outside of the replay, once, and keep its result.

        Arguments and result go through JSON (Decimal and date become str). Plain functions run in a thread.
        It runs at least once: a crash before the result is stored runs it again, with the same key if the
        function has a parameter `idempotency_key`. A failure is tried again up to `retries` times; then
        StepFailed is raised. With `retry=False` it runs at most once: StepInterrupted is raised where a
        crash leaves open what happened. `timeout` is in seconds, for each attempt.
        """
        spec = call(function, *args, retry=retry, retries=retries, timeout=timeout, name=name, **kwargs)
        self._calls += 1
        return self._step(spec)

    def steps(self, *calls: StepSpec | Callable[[], Any]) -> Coroutine[Any, Any, list[Any]]:
        """Run several steps at once; their results, in the order given.

        Each is `call(function, …)` (with `step`'s parameters), a functools.partial or a function without
        parameters. When some fail, all are awaited, then the first failure in the order given is raised.
        """
        specs = [step_spec(each) for each in calls]
        self._calls += 1
        return self._steps(specs)

    def handover(
        self,
        queue: str | None = None,
        message: str | None = None,
        properties: Mapping[str, Any] | None = None,
        cancel_text: str | None = None,
        summary: str | None = None,
        timeout: float | timedelta | None = None,
        *,
        cancel_when: Callable[[str], bool] | None = None,
        on_queued: Handler | None = None,
        on_active: Handler | None = None,
        on_inactive: InactiveHandler | None = None,
    ) -> Coroutine[Any, Any, HandoverOutcome]:
        """Hand the conversation to human agents and return when that is over, hours and restarts later.

        What is left out is taken from the endpoint's settings. `properties` (at most 30) and `summary` are
        shown to the agent; `timeout` in seconds is how long the user waits for one at most. `cancel_when`
        (a plain function of what the user wrote) takes the conversation back. The handlers are called
        meanwhile, with the chat: `on_queued`, `on_active`, and `on_inactive(chat, count)` when the user has
        been silent; they may say things, run steps and `close_handover()`, but not wait for the user.
        """
        handlers: dict[str, Callable[..., Awaitable[None]]] = {}
        for name, handler in (("queued", on_queued), ("active", on_active), ("inactive", on_inactive)):
            if handler is not None:
                handlers[name] = handler
        wants = [*handlers, *(["cancel"] if cancel_when is not None else [])]
        params = handover_params(queue, message, properties, cancel_text, summary, timeout, wants)
        self._calls += 1
        return self._handover(params, handlers, cancel_when)

    def close_handover(self) -> Coroutine[Any, Any, None]:
        """End the handover, from one of its handlers, and take the conversation back where that is set up.

        Where it is not, an agent who has the conversation keeps it, and the handover goes on.
        """
        if not self._handling:
            raise BotError("close_handover() is for the handlers of chat.handover().")
        self._calls += 1
        return self._close_handover()

    def end(self) -> Coroutine[Any, Any, Never]:
        """End the session, and with it the dialog: nothing after it runs. The next input starts anew."""
        if self._handling:
            raise BotError("A handler of a handover can't end the session.")
        self._calls += 1
        return self._end()

    # Each call counts itself when it is made and again when it is awaited: see `_unawaited`.

    def _note(self, name: str, content: dict[str, Any]) -> None:
        if not self._tape.closed:
            self._tape.note(name, content)

    async def _say(self, content: dict[str, Any], files: tuple[File, ...]) -> None:
        if self._awaited():
            await self._refuse()
        await self._output(content, files)

    async def _thinking(self, seconds: int) -> None:
        if self._awaited():
            await self._refuse()
        self._note(THINKING, {"seconds": seconds})

    async def _receive(self, timeout: float | None) -> Message:
        if self._awaited():
            await self._refuse()
        return await self._input(timeout)

    async def _ask(
        self,
        question: dict[str, Any],
        files: tuple[File, ...],
        again: dict[str, Any],
        parse: Callable[[str], Any] | None,
        attempts: int,
        timeout: float | None,
    ) -> Any:
        if self._awaited():
            await self._refuse()
        for attempt in range(attempts):
            await (self._output(again) if attempt else self._output(question, files))
            text = (await self._answer(timeout)).text
            if parse is None:
                return text
            try:
                answer = parse(text)
            except ValueError:
                continue
            if isinstance(answer, Coroutine):
                answer.close()
                raise BotError("ask(parse=) must be a plain function, not an async one.")
            return answer
        raise NoAnswer(attempts)

    async def _step(self, spec: StepSpec) -> Any:
        if self._awaited():
            await self._refuse()
        return (await self._run([spec]))[0]

    async def _steps(self, specs: list[StepSpec]) -> list[Any]:
        if self._awaited():
            await self._refuse()
        return await self._run(specs)

    async def _end(self) -> Never:
        if self._awaited():
            await self._refuse()
        self._tape.end()
        await self._stop()

    def _made(self) -> None:
        """A call that was made is used."""
        self._calls -= 1

    async def _close_handover(self) -> None:
        if self._awaited():
            await self._refuse()
        if self._tape.close_handover() is None:
            await self._stop()

    async def _handover(
        self,
        params: dict[str, Any],
        handlers: Mapping[str, Callable[..., Awaitable[None]]],
        cancel_when: Callable[[str], bool] | None,
    ) -> HandoverOutcome:
        if self._awaited():
            await self._refuse()
        tape = self._tape
        position = tape.hand_over(params)
        if position is None:
            position = await self._stop()
        while True:
            entry = tape.outcome(params, position, cancel_when)
            if entry is None:
                await _suspend(tape)
            elif entry.kind == "signal":
                await self._signal(entry, handlers)
            else:
                break
        self._changed(entry)
        return HandoverOutcome.from_json(entry.content)

    async def _signal(self, entry: Entry, handlers: Mapping[str, Callable[..., Awaitable[None]]]) -> None:
        """Run the bot's handler of what happened to its handover."""
        handler = handlers.get(entry.name or "")
        if handler is None:
            return
        self._handling = True
        try:
            if entry.name == "inactive":
                await handler(self, entry.content["count"])
            else:
                await handler(self)
        finally:
            self._handling = False

    def _reading(self, key: str) -> Coroutine[Any, Any, bytes]:
        """What an attachment's `read()` awaits."""
        self._calls += 1
        return self._read(key)

    async def _read(self, key: str) -> bytes:
        if self._awaited():
            await self._refuse()
        while (content := self._tape.read(key)) is None:
            await _suspend(self._tape)
        return content

    async def _output(self, content: dict[str, Any], files: tuple[File, ...] = ()) -> None:
        tape = self._tape
        kept: dict[str, Any] | None = {}
        while files and (kept := tape.attach(files)) is None:
            await _suspend(tape)
        if tape.say({**content, **(kept or {})}) is None:
            await self._stop()
        if kept and "unsaid" in kept:
            raise BotError(kept["unsaid"])

    async def _input(self, timeout: float | None) -> Message:
        if self._handling:
            raise BotError("A handler of a handover can't wait for the user: a human answers.")
        tape = self._tape
        while (entry := tape.receive(timeout)) is None:
            await _suspend(tape)
        self._changed(entry)
        if entry.kind == "timeout":
            raise TimeoutError
        self._message = Message.from_json(entry.content["message"], self._reading)
        return self._message

    async def _answer(self, timeout: float | None) -> Message:
        """The next input that the user gave: an activity is none, and does not begin the wait anew."""
        since, left = self._tape.at, timeout
        while (message := await self._input(left)).kind == ACTIVITY:
            if timeout is not None:
                left = max(timeout - (self._tape.at - since).total_seconds(), 0.0)
        return message

    async def _run(self, specs: list[StepSpec]) -> list[Any]:
        tape = self._tape
        started: dict[int, StepSpec] = {}
        for spec in specs:
            position = tape.begin(spec, next(iter(started), None))
            if position is None:
                position = await self._stop()
            started[position] = spec
        open_steps = dict(started)
        results: dict[int, dict[str, Any]] = {}
        while open_steps:
            entry = tape.result(open_steps)
            if entry is not None:
                position = entry.content["step"]
                del open_steps[position]
                results[position] = entry.content
                continue
            if tape.need is None:
                tape.need = RunSteps(tuple(tape.call(*each) for each in open_steps.items()))
            await _suspend(tape)
        return [_value(spec, results[position]) for position, spec in started.items()]

    def _changed(self, entry: Entry) -> None:
        """What changed from outside comes with an entry."""
        content = entry.content
        if "contact" in content:
            self._contact = Contact(content["contact"], self._note)
        if "session" in content:
            self._session.clear()
            self._session.update(copy_json(content["session"]))

    def _begin(self) -> bool:
        """Take the input that starts the dialog, if it is there."""
        entry = self._tape.receive(None)
        if entry is not None:
            self._changed(entry)
            self._message = Message.from_json(entry.content["message"], self._reading)
        return entry is not None

    def _unawaited(self) -> bool:
        """Whether a call was made that nobody awaited: its message would silently not be sent."""
        return self._calls > 0

    def _awaited(self) -> bool:
        self._calls -= 1
        return self._tape.closed

    async def _refuse(self) -> None:
        """Raise ChatClosed; a bot that catches even that, again and again, is suspended instead."""
        self._late += 1
        if self._late > _PATIENCE:
            await self._stop()
        raise ChatClosed

    async def _stop(self) -> Never:
        """Suspend for ever: `need` is an end, and the driver closes the bot."""
        while True:
            await _suspend(self._tape)


@coroutine
def _suspend(tape: Tape) -> Generator[Tape, None, None]:
    """Hand control to the driver; the tape itself is the sign that it was Chat that did."""
    yield tape


def _value(spec: StepSpec, content: dict[str, Any]) -> Any:
    if "value" in content:
        return copy_json(content["value"])
    if "error" in content:
        raise StepFailed(spec.name, content["error"]["type"], content["error"].get("message", ""))
    raise StepInterrupted(spec.name)
