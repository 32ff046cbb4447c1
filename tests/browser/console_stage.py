"""A console over a real database, served from a thread, for the browser's tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.rollup import roll_up
from app.bot import Chat
from app.database.embedded import embedded_postgres
from app.database.engine import WORKER, create_engine
from app.database.schema import upgrade
from app.endpoints import Endpoints
from app.gateway.outcome import Refused
from app.receiver.main import serving
from app.settings import Settings
from tests.integration.scene import Scene, endpoint, scene

Result = TypeVar("Result")

HANDOVER: dict[str, Any] = {"queue": "101", "return_assignment": {"type": "script", "id": "2001"}}


async def clerk(chat: Chat) -> None:
    """A bot with a bit of everything."""
    chat.understood(chat.message.text != "asdf")
    chat.intent("person" if "person" in chat.message.text else "order")
    if "person" in chat.message.text:
        await chat.say("One moment…")
        await chat.handover()
        await chat.say("I am back. Anything else?")
        return
    await chat.step(len, chat.message.text, name="find order")
    await chat.say(
        f"About “{chat.message.text}”: it ships today.", quick_replies=["Thanks", "Talk to a person"]
    )
    await chat.receive()
    chat.goal("answered")
    await chat.say("You are welcome.")


@dataclass
class Stage:
    """Where the console is, and how to let something happen."""

    url: str
    scene: Scene
    _loop: asyncio.AbstractEventLoop

    def run(self, work: Callable[[Scene], Coroutine[Any, Any, Result]]) -> Result:
        """Let something happen to the conversations, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work(self.scene), self._loop).result(60)


async def lively(play: Scene) -> None:
    """Conversations of most kinds, counted."""
    user = {"userId": "u1", "name": "Ada Lovelace", "email": "ada@example.com", "language": "en"}
    data = {"state": "created", "channel": "WebChat", "user": user}
    for number in range(14):
        play.conversation = f"int-1a2b3c-chat-{number:02}-acme01"
        await play.post(
            {"eventType": "CONVERSATION_UPDATE", "conversationId": play.conversation, "data": data}
        )
        await play.says("asdf" if number % 5 == 3 else f"Where is order {number}? <script>alert(1)</script>")
        await play.work()
        if number % 2:
            await play.says("Thanks")
            await play.work()
    play.gateway.answers = [Refused(400, "no")]
    play.conversation = "int-dead-chat-00-acme01"
    await play.says("Will this arrive?")
    await play.work()
    play.conversation = "int-human-chat-00-acme01"
    await play.says("I want a person")
    await play.work()
    for event in (
        {"eventType": "QUEUED", "data": {"queueId": "101"}},
        {
            "eventType": "MEMBERS_CHANGED",
            "data": {"memberType": "agent", "change": "joined", "id": "agent-7"},
        },
        {
            "eventType": "MESSAGE",
            "data": {
                "isEcho": False,
                "sender": {"id": "agent-7", "type": "agent"},
                "text": "Hello, how can I help?",
            },
        },
    ):
        await play.post({"conversationId": play.conversation, **event})
        await play.work()
    await play.says("My order is late")
    await play.work()
    await roll_up(play.engine, now=datetime.now(UTC))


@contextmanager
def console_running(home: Path, **settings: Any) -> Iterator[Stage]:
    """A console, as long as the context lasts."""
    ready: threading.Event = threading.Event()
    found: list[Stage] = []
    failed: list[BaseException] = []
    stopping: list[asyncio.Event] = []

    async def live(url: str, engine: AsyncEngine) -> None:
        play = scene(engine, clerk, handover=HANDOVER)
        await lively(play)
        values: dict[str, Any] = {"home": home, "database_url": url, "port": 0, "admin_port": 0, **settings}
        known = Endpoints(endpoints=[endpoint(handover=HANDOVER)])
        async with serving(Settings(**values), known, database_url=url) as ports:
            stopping.append(asyncio.Event())
            found.append(Stage(f"http://127.0.0.1:{ports.admin}", play, asyncio.get_running_loop()))
            ready.set()
            await stopping[0].wait()

    async def main(url: str) -> None:
        await upgrade(url)
        engine = create_engine(url, WORKER, application="test")
        try:
            await live(url, engine)
        finally:
            await engine.dispose()

    def run(url: str) -> None:
        try:
            asyncio.run(main(url))
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    with embedded_postgres(home, settings={"fsync": "off"}) as url:
        thread = threading.Thread(target=run, args=(url,), daemon=True)
        thread.start()
        ready.wait(120)
        if failed:
            raise failed[0]
        try:
            yield found[0]
        finally:
            found[0]._loop.call_soon_threadsafe(stopping[0].set)
            thread.join(30)
