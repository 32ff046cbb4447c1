"""A worker's conversation layer over a real database, with 8x8 played by an object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.driver import Bot
from app.conversation.ids import IdPools, Ids
from app.conversation.loading import load
from app.conversation.outbox import Outbox
from app.conversation.pauses import Pauses
from app.conversation.services import PlainHost, Services
from app.conversation.state import ConversationState
from app.conversation.turn import Turns
from app.endpoints import Endpoint
from app.gateway.client import GatewayClient, GatewayMessage, RequestFailed
from app.gateway.outcome import InDoubt, Outcome, Sent
from app.gateway.transport import MayBegin
from app.receiver.inbox import Arrival
from app.worker import claims


def endpoint(**changes: Any) -> Endpoint:
    """An endpoint called `support`."""
    values: dict[str, Any] = {
        "name": "support",
        "token": "a-token-long-enough",
        "flow": "tests.bots:bot",
        "eightxeight": {
            "base_url": "http://127.0.0.1:1",
            "api_key": "key-of-8x8-long-enough",
            "tenant": "acme01",
        },
    }
    return Endpoint.model_validate({**values, **changes})


class Clock:
    """A clock that goes on by itself and can be set forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(seconds=seconds)


class PlayedGateway(GatewayClient):
    """8x8: keeps what it is sent; `answers` are used up one a request, then everything is accepted.

    An answer is an outcome, or (outcome, True) when the message is kept all the same.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.there: list[GatewayMessage] = []
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[Outcome | tuple[Outcome, bool]] = []
        self.readable = True
        self.conversation_readable = True
        self.assignment_answers: list[Outcome] = []
        self.assigned: dict[str, Any] | None = None

    async def send(
        self,
        endpoint: Endpoint,
        conversation: str,
        body: Mapping[str, Any],
        *,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Take a message."""
        self.requests.append(("message", conversation, dict(body)))
        answer = self.answers.pop(0) if self.answers else Sent(202)
        outcome, kept = answer if isinstance(answer, tuple) else (answer, isinstance(answer, Sent))
        if kept:
            text = str(body.get("text") or "")
            self.there.append(GatewayMessage(str(len(self.there)), text, "bot", self.now()))
        return outcome

    async def messages(
        self, endpoint: Endpoint, conversation: str, size: int = 50, *, timeout: float | None = None
    ) -> list[GatewayMessage]:
        """The newest messages, newest first."""
        if not self.readable:
            raise RequestFailed(InDoubt(500, "HTTP 500"))
        return list(reversed(self.there))[:size]

    async def assign(
        self,
        endpoint: Endpoint,
        conversation: str,
        assignment: Mapping[str, Any],
        *,
        user: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Take an assignment."""
        self.requests.append(("assignment", conversation, {"assignment": dict(assignment), "user": user}))
        return self.assignment_answers.pop(0) if self.assignment_answers else Sent(202)

    async def update_user(
        self,
        endpoint: Endpoint,
        conversation: str,
        user: Mapping[str, Any],
        *,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Show something to the agent."""
        self.requests.append(("note", conversation, {"user": user}))
        return Sent(202)

    async def post_agent_assignment(
        self,
        endpoint: Endpoint,
        conversation: str,
        webhook_id: str,
        *,
        max_total_minutes: int | None = None,
        user_timeout_minutes: int | None = None,
        timeout: float | None = None,
        may_begin: MayBegin | None = None,
    ) -> Outcome:
        """Take the wish to get the conversation back."""
        self.requests.append(("post_agent", conversation, {"webhook_id": webhook_id}))
        return Sent(201)

    async def conversation(
        self, endpoint: Endpoint, conversation: str, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """The conversation as 8x8 shows it."""
        if not self.conversation_readable:
            raise RequestFailed(InDoubt(500, "HTTP 500"))
        return {"id": conversation, "assignment": self.assigned}

    @property
    def texts(self) -> list[str]:
        """What the user sees of the bot."""
        return [message.text for message in self.there]


_arrivals = count(1)


def stored_form(arrival: Arrival, payload: dict[str, Any]) -> Arrival:
    """The event as it is stored; tests of encryption replace this."""
    return arrival


@dataclass
class Scene:
    """One conversation, and everything around it."""

    engine: AsyncEngine
    services: Services
    gateway: PlayedGateway
    clock: Clock
    worker: int = 0
    state: ConversationState | None = None
    bots: dict[str, Bot] = field(default_factory=dict)
    conversation: str = "ID-0"
    endpoint: str = "support"

    async def post(
        self, payload: dict[str, Any], *, at: datetime | None = None, received: datetime | None = None
    ) -> int:
        """Store an event as the receiver does; its id."""
        now = received or self.clock()
        body = json.dumps(payload).encode()
        arrival = Arrival("support", "", None, "", body, b"", body.decode(), None, 0)
        arrival = stored_form(arrival, payload)
        async with self.engine.begin() as connection:
            conversation = (
                await connection.execute(
                    text(
                        "INSERT INTO conversation (endpoint, external_id, due_at) "
                        "VALUES (:endpoint, :c, now()) "
                        "ON CONFLICT (endpoint, external_id) DO UPDATE SET due_at = now() RETURNING id"
                    ),
                    {"c": self.conversation, "endpoint": self.endpoint},
                )
            ).scalar_one()
            row = await connection.execute(
                text(
                    "INSERT INTO event (endpoint, event_id, conversation_id, type, body, body_sha256, "
                    "payload, received_at, at) "
                    "VALUES (:endpoint, :e, :c, :t, :b, :s, CAST(:p AS jsonb), :r, :at) RETURNING id"
                ),
                {
                    "endpoint": self.endpoint,
                    "e": f"event-{next(_arrivals)}",
                    "c": conversation,
                    "t": payload["eventType"],
                    "b": arrival.body,
                    "s": sha256(body).digest(),
                    "p": arrival.payload,
                    "r": now,
                    "at": at or now,
                },
            )
            return int(row.scalar_one())

    async def says(self, words: str, **times: Any) -> None:
        """The user writes."""
        await self.post(
            {
                "eventType": "MESSAGE",
                "conversationId": self.conversation,
                "data": {"isEcho": False, "sender": {"id": "user-1", "type": "user"}, "text": words},
            },
            **times,
        )

    async def echo(self, words: str) -> None:
        """A message of the bot comes back."""
        await self.post(
            {
                "eventType": "MESSAGE",
                "conversationId": self.conversation,
                "data": {"isEcho": True, "sender": {"id": "bot", "type": "bot"}, "text": words},
            }
        )

    async def claim(self) -> ConversationState | None:
        """Claim what is due, as a worker that has just started."""
        engine = self.services.engine
        async with engine.begin() as connection:
            if not self.worker:
                self.worker = await claims.register(
                    connection, host="here", pid=1, started=0.0, lease=timedelta(seconds=60)
                )
            found = await claims.claim(connection, self.worker, {self.endpoint: 1}, [])
        if not found:
            return None
        async with engine.begin() as connection:
            self.state = await load(
                connection,
                found[0].conversation_id,
                take_over=found[0].take_over,
            )
        return self.state

    async def work(self) -> None:
        """Handle all that waits, with fresh memory."""
        state = await self.claim()
        if state is None:
            return
        outbox = Outbox(self.services, state)
        turns = Turns(self.services, state, outbox)
        while await turns.look() is not None:
            await turns.handle(PlainHost())
        await outbox.run()

    async def later(self, seconds: float) -> None:
        """Time passes, for the database too, and what is due then is handled."""
        self.clock.forward(seconds)
        async with self.engine.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE conversation SET due_at = now() WHERE due_at - CAST(:ahead AS interval) <= now()"
                ),
                {"ahead": self.clock.ahead},
            )
        await self.work()

    async def statuses(self) -> list[str]:
        """Statuses of the deliveries, in order."""
        return [row[0] for row in await self.rows("SELECT status FROM delivery ORDER BY place")]

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        """Rows of a query."""
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(sql), values))

    async def value(self, sql: str, **values: Any) -> Any:
        """One value."""
        return (await self.rows(sql, **values))[0][0]


def scene(engine: AsyncEngine, bot: Bot, **changes: Any) -> Scene:
    """A scene with one endpoint and its bot."""
    clock = Clock()
    gateway = PlayedGateway(clock)
    bots = {"tests.bots:bot": bot}
    endpoints = {"support": endpoint(**changes)}
    services = Services(
        engine=engine,
        ids=IdPools(
            session=Ids(engine, "session_id_seq"),
            dialog=Ids(engine, "dialog_id_seq"),
            delivery=Ids(engine, "delivery_id_seq"),
            timer=Ids(engine, "timer_id_seq"),
            handover=Ids(engine, "handover_id_seq"),
        ),
        gateway=gateway,
        endpoints=endpoints,
        bots=lambda path: bots[path],
        pauses=Pauses(engine, endpoints),
        now=clock,
    )
    return Scene(engine, services, gateway, clock, bots=bots)


async def until(condition: Callable[[], Any], *, within: float = 5.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("the condition did not come true in time")
        await asyncio.sleep(0.01)
