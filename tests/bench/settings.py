"""What an endpoint's settings cost: `python -m tests.bench.settings [rounds]`.

The settings take turns, one turn of a bot each, within one run, so that what else the machine does falls on
all of them alike. Measured is what a worker does for a message, from what waits to the answer that 8x8 has
taken (8x8 is an object here), on a real database; and what the receiver does to an event before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.bot import Chat
from app.conversation.outbox import Outbox
from app.conversation.privacy.guarding import Guard
from app.conversation.privacy.lines import shaped
from app.conversation.privacy.sanitize import clean_input
from app.conversation.services import PlainHost
from app.conversation.state import ConversationState
from app.conversation.turn import Turns
from app.database.embedded import embedded_postgres
from app.database.engine import WORKER, create_engine
from app.database.schema import upgrade
from app.endpoints import Endpoint
from app.logs import set_up_logging
from app.receiver.inbox import Arrival
from app.receiver.storing import put_away
from app.sealing import VARIABLE, new_key
from app.sensitive import mask_log
from tests.integration import scene as scenes
from tests.integration.scene import Scene, endpoint, scene

FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
MODULE = "tests.bench.settings"

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "defaults again": {},
    "collect_analytics: false": {"collect_analytics": False},
    "collect_conversations: false": {"collect_conversations": False},
    "mask_sensitive_analytics": {"mask_sensitive_analytics": True},
    "mask_sensitive_logging": {"mask_sensitive_logging": True},
    "hide_external_references": {"hide_external_references": True},
    "input_sanitization": {"input_sanitization": True},
    "encrypt": {"encrypt": True},
    "transformers: input, output": {"transformers": {"input": f"{MODULE}:same", "output": f"{MODULE}:same"}},
    "all of them": {
        "collect_analytics": False,
        "mask_ip_address": True,
        "mask_sensitive_analytics": True,
        "mask_sensitive_logging": True,
        "hide_external_references": True,
        "input_sanitization": True,
        "encrypt": True,
        "transformers": {"input": f"{MODULE}:same", "output": f"{MODULE}:same"},
    },
}

WORDS = "<b>Hello</b>, where is order 4711? See https://example.com/orders/4711 for what I mean."
PAYLOAD: dict[str, Any] = {
    "eventType": "CONVERSATION_UPDATE",
    "conversationId": "ID",
    "data": {"state": "active", "channel": "WebChat", "user": {"userId": "u", "ipaddress": "203.0.113.7"}},
}


async def same(event: Any) -> Any:
    """A transformer that changes nothing."""
    return event.rendered if hasattr(event, "rendered") else {"text": event.text}


async def answers(chat: Chat) -> None:
    """Answers, marks and logs."""
    chat.intent("order")
    structlog.get_logger("a.bot").info("asked", length=len(chat.message.text))
    await chat.say(f"You said: {chat.message.text}")


class Measured:
    """One conversation under its settings, open in a worker."""

    def __init__(self, play: Scene, turns: Turns, outbox: Outbox) -> None:
        self.play, self.turns, self.outbox = play, turns, outbox
        self.times: list[float] = []

    async def say(self) -> None:
        """A message and its answer, timed."""
        await self.play.says(WORDS)
        await self.handled()

    async def leave(self) -> float:
        """The end of the session, in milliseconds."""
        update = {**PAYLOAD, "conversationId": self.play.conversation, "data": {"state": "idle"}}
        await self.play.post(update)
        self.times.clear()
        await self.handled()
        return sum(self.times) * 1000

    async def handled(self) -> None:
        """Handle what waits, timed."""
        begun = time.perf_counter()
        while await self.turns.look() is not None:
            await self.turns.handle(PlainHost())
        await self.outbox.run()
        self.times.append(time.perf_counter() - begun)


async def measured(engine: AsyncEngine, name: str, settings: dict[str, Any]) -> Measured:
    """A conversation that has said its first word."""
    play = scene(engine, answers, **settings)
    play.conversation = name
    await play.says(WORDS)
    state = await play.claim()
    assert state is not None
    outbox = Outbox(play.services, state)
    one = Measured(play, Turns(play.services, state, outbox), outbox)
    await one.handled()
    one.times.clear()
    return one


def store_as(one: Endpoint) -> None:
    """Events are stored from now on as the receiver stores them for this endpoint."""
    scenes.stored_form = lambda arrival, payload: _stored(one, arrival, payload)


async def turns(rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of a turn, and of the end of a session, by setting."""
    with tempfile.TemporaryDirectory() as home, embedded_postgres(Path(home), settings=FORGETFUL) as url:
        await upgrade(url)
        engine = create_engine(url, WORKER, application="bench")
        each: dict[str, Measured] = {}
        for name, settings in SETTINGS.items():
            store_as(endpoint(**settings))
            each[name] = await measured(engine, name, settings)
        for _ in range(rounds):
            for one in each.values():
                store_as(one.play.services.endpoints["support"])
                await one.say()
        middle = {name: median(one.times) * 1000 for name, one in each.items()}
        found = {}
        for name, one in each.items():
            store_as(one.play.services.endpoints["support"])
            found[name] = middle[name], await one.leave()
        await engine.dispose()
    return found


def arrivals(rounds: int) -> dict[str, float]:
    """Microseconds that the receiver spends on an event before it is stored, by setting."""
    body = str(PAYLOAD).encode()
    arrival = Arrival("support", "", None, "", body, b"", body.decode(), None, 0)
    several: dict[str, Endpoint] = {
        "defaults": endpoint(),
        "mask_ip_address": endpoint(mask_ip_address=True),
        "encrypt": endpoint(encrypt=True),
        "both": endpoint(mask_ip_address=True, encrypt=True),
    }
    times: dict[str, list[float]] = {name: [] for name in several}
    for _ in range(rounds):
        for name, one in several.items():
            times[name].append(_timed(partial(_stored, one, arrival, PAYLOAD), 50))
    return {name: median(found) * 1e6 for name, found in times.items()}


def looks() -> dict[str, float]:
    """Microseconds that a turn with default settings spends on finding that nothing is to be done."""
    one, state = endpoint(), ConversationState(id=1, endpoint="support", external_id="ID", epoch=1)
    row = {"author": "user", "text": WORDS, "content": {}}
    message = {"text": WORDS, "data": {}}
    box = Guard(state)
    return {
        "a line of the transcript": _timed(lambda: shaped(one, state, row), 100_000) * 1e6,
        "an input to sanitise": _timed(lambda: clean_input(one, message), 100_000) * 1e6,
        "what logs must not show": _timed(lambda: box.values(one, []), 100_000) * 1e6,
        "a log line to mask": _timed(lambda: mask_log(None, "info", {"event": "x"}), 100_000) * 1e6,
    }


def _stored(one: Endpoint, arrival: Arrival, payload: dict[str, Any]) -> Arrival:
    """As the webhook has it."""
    return put_away(one, arrival, payload) if one.mask_ip_address or one.encrypt else arrival


def _timed(work: Callable[[], object], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def main() -> None:
    """Measure and print."""
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200))  # noqa: T201


def measure(rounds: int) -> str:
    """The tables."""
    os.environ[VARIABLE] = new_key()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - log lines are written, and seen by nobody
    set_up_logging("INFO", "json")
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    lines = [f"| {rounds} turns each | a turn, ms (median) | more than defaults, ms | end of session, ms |"]
    lines.append("| --- | ---: | ---: | ---: |")
    found = asyncio.run(turns(rounds))
    base = found["defaults"][0]
    for name, (turn, end) in found.items():
        lines.append(f"| {name} | {turn:.2f} | {turn - base:+.2f} | {end:.1f} |")
    lines += ["", "| an event in the receiver | µs |", "| --- | ---: |"]
    lines += [f"| {name} | {microseconds:.1f} |" for name, microseconds in arrivals(rounds).items()]
    lines += ["", "| looking whether there is anything to do | µs |", "| --- | ---: |"]
    lines += [f"| {name} | {microseconds:.2f} |" for name, microseconds in looks().items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
