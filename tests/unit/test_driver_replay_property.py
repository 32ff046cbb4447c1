"""Whatever a bot does: at every point a replay from the journal equals the dialog that lived through it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.bot import Chat, NoAnswer, StepFailed, StepInterrupted, call
from app.conversation.driver import DialogStart, Driver
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Failed, Finished, Handover, Need, Receive, RunSteps

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

Program = list[Any]

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
said = text.filter(lambda each: not each.isspace())
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["find", "pay", "send"])

simple = (
    st.tuples(st.just("say"), said)
    | st.tuples(st.just("ask"), st.integers(1, 2))
    | st.tuples(st.just("receive"), st.none() | st.integers(0, 90))
    | st.tuples(st.just("step"), names, st.booleans())
    | st.tuples(st.just("steps"), st.lists(names, min_size=1, max_size=3))
    | st.tuples(st.just("remember"), values)
    | st.sampled_from([("dice",), ("clock",), ("contact",), ("handover",), ("raise",), ("change",)])
)
program = st.recursive(
    st.lists(simple, max_size=6),
    lambda inner: st.lists(
        simple | st.tuples(st.just("loop"), inner) | st.tuples(st.just("try"), inner), max_size=6
    ),
    max_leaves=12,
)


def bot_of(program: Program) -> Callable[[Chat], Coroutine[Any, Any, None]]:
    """A bot that does what the program says, and tells all it learns."""

    async def bot(chat: Chat) -> None:
        await run(chat, program)

    async def run(chat: Chat, program: Program) -> None:
        for name, *arguments in program:
            await DOES[name](chat, run, *arguments)

    return bot


async def tell(chat: Chat, value: object) -> None:
    seen = json.dumps(value)[:200]
    await chat.say(f"saw {seen}")
    chat.session["seen"] = [*chat.session.get("seen", []), seen][-3:]


async def do_say(chat: Chat, run: Any, words: str) -> None:
    await chat.say(words, quick_replies=["yes"])


async def do_ask(chat: Chat, run: Any, attempts: int) -> None:
    try:
        await tell(chat, await chat.ask("Number?", parse=int, attempts=attempts, timeout=60))
    except NoAnswer as error:
        await tell(chat, error.attempts)


async def do_receive(chat: Chat, run: Any, timeout: int | None) -> None:
    try:
        await tell(chat, (await chat.receive(timeout)).to_json())
    except TimeoutError:
        await tell(chat, "timeout")


async def do_step(chat: Chat, run: Any, name: str, retry: bool) -> None:
    try:
        value = await chat.step(function, chat.session, name=name, retry=retry)
        await tell(chat, value)
        if isinstance(value, dict):
            value["changed"] = True  # the bot's own copy
    except (StepFailed, StepInterrupted) as error:
        await tell(chat, str(error))


async def do_steps(chat: Chat, run: Any, names: list[str]) -> None:
    await tell(chat, await chat.steps(*(call(function, 1, name=name) for name in names)))


async def do_remember(chat: Chat, run: Any, value: Any) -> None:
    chat.session["value"] = value


async def do_dice(chat: Chat, run: Any) -> None:
    await tell(chat, chat.random.random())


async def do_clock(chat: Chat, run: Any) -> None:
    await tell(chat, chat.now().isoformat())


async def do_contact(chat: Chat, run: Any) -> None:
    await tell(chat, dict(chat.contact))


async def do_change(chat: Chat, run: Any) -> None:
    chat.session.setdefault("list", []).append(len(chat.message.text))


async def do_handover(chat: Chat, run: Any) -> None:
    await tell(chat, (await chat.handover("101", properties=chat.session)).to_json())


async def do_raise(chat: Chat, run: Any) -> None:
    raise LookupError(chat.message.text)


async def do_loop(chat: Chat, run: Any, inner: Program) -> None:
    for _ in range(2):
        await run(chat, inner)


async def do_try(chat: Chat, run: Any, inner: Program) -> None:
    try:
        await run(chat, inner)
    except Exception as error:
        await tell(chat, type(error).__name__)


DOES = {name.removeprefix("do_"): does for name, does in list(globals().items()) if name.startswith("do_")}


def function(*_: object) -> None:
    raise AssertionError("these tests run no steps")


def happenings(draw: Any, need: Need, at: datetime) -> Iterator[Entry]:
    """Something that may happen to a bot that needs this."""
    match need:
        case Receive(timeout=timeout):
            if timeout is not None and draw(st.booleans()):
                yield Entry("timeout", None, {}, at)
                return
            content = {
                "message": {
                    "text": draw(st.just("12") | text),
                    "data": draw(st.none() | st.just({"b": 1, "a": 2})),
                }
            }
            if draw(st.booleans()):
                content["contact"] = draw(st.dictionaries(text, values, max_size=2))
            yield Entry("input", None, content, at)
        case RunSteps(calls):
            for each in draw(st.permutations(calls)):
                failure = {"error": {"type": "OSError", "message": "x"}}
                outcome = draw(
                    st.sampled_from([failure, {"interrupted": True}]) | st.builds(dict, value=values)
                )
                yield Entry("result", each.name, {"step": each.position, **outcome}, at)
        case Handover():
            yield Entry("outcome", None, {"status": draw(st.sampled_from(["completed", "failed"]))}, at)


def state(driver: Driver, need: Need) -> object:
    """All that production would store or act upon."""
    match need:
        case RunSteps(calls):
            shape: object = [(each.position, each.key, each.name, each.args, each.retry) for each in calls]
        case Failed():
            shape = need.summary
        case Handover():
            shape = need.params, need.position
        case _:
            shape = need
    return shape, driver.session


def stored(entries: Any) -> list[Entry]:
    """Through the database: JSONB orders keys its own way and writes large floats as whole numbers."""
    return [Entry(each.kind, each.name, _jsonb(each.content), each.at, each.event_id) for each in entries]


def _jsonb(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _jsonb(value[key])
            for key in sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        }
    if isinstance(value, list):
        return [_jsonb(each) for each in value]
    if isinstance(value, float):
        return int(value) if "e+" in repr(value) else abs(value) if value == 0 else value
    return value


@settings(max_examples=150, deadline=None)
@given(program, st.data())
def test_a_replay_equals_the_dialog_that_lived_through_it(program: Program, data: st.DataObject) -> None:
    bot = bot_of(program)
    start = DialogStart("d", 3, BEGAN, {"z": 1, "a": [1]}, {"name": "Ada"})
    clock = [BEGAN]

    def now() -> datetime:
        return clock[-1]

    live = Driver(bot, start, [Entry("input", None, {"message": {"text": "hi"}}, BEGAN)], now=now)
    for _ in range(12):
        need = live.run()
        assert not isinstance(need, Diverged)
        again = Driver(bot, start, stored(live.entries), now=now, strict=False)
        assert state(again, again.run()) == state(live, need)
        assert again.drain() == [], "nothing is done twice"
        assert list(again.entries) == stored(live.entries)
        if isinstance(need, Finished | Failed):
            break
        for entry in happenings(data.draw, need, now()):
            clock.append(now() + timedelta(seconds=1))
            live.feed(entry)
            if isinstance(need, RunSteps):
                halfway = Driver(bot, start, stored(live.entries), now=now)
                assert state(halfway, halfway.run()) == state(live, live.run())
                halfway.close()
        again.close()
    live.close()
