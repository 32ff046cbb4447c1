"""What users write, signed beforehand with the sandbox's key, and the replies as the sandbox got them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from app.sandbox import calls, events
from app.sandbox.client import AsyncSandboxClient
from app.sandbox.keys import KeyRing
from app.sandbox.model import JsonObject, new_id, now_ms
from app.sandbox.signature import Stamp, signed_headers
from tests.bench.load import Pool, Shot, at_rate
from tests.bench.slowness import Slowness, disturbed
from tests.bench.stage import ENDPOINTS, Stage
from tests.bench.usage import Theft

Make = Callable[["Talk"], Shot]

#: What the echo bot puts before what it hears.
REPLY = "You said: "
#: The sandbox's own name for the customer of its tenants.
CUSTOMER = "sandbox-customer"
#: Seconds after the last message within which every reply must be there.
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation of the sandbox."""

    id: str
    endpoint: str


@dataclass(slots=True)
class Measured:
    """What became of a run of messages; latencies in ms in the order of sending."""

    rate: float
    sent: int
    replies: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    unanswered: int = 0
    refused: int = 0
    doubled: int = 0
    late: float = 0.0
    """By how much the load generator was late at worst, ms."""
    stolen: float = 0.0
    """Share of the machine that its host gave to others while the messages were sent, 0 to 1."""
    slowed: float = 0.0
    """Share of that time in which this machine's memory was slow, 0 to 1."""
    undisturbed: list[float] = field(default_factory=list)
    """Those of the replies' latencies whose messages were not sent about the times when memory was slow."""

    @property
    def complete(self) -> bool:
        """Whether each message was acknowledged and answered once."""
        return not (self.unanswered or self.refused or self.doubled)


class Traffic:
    """Users of one stage's sandbox. Use in an `async with` block."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._key = KeyRing(stage.home / "sandbox").current
        self._sandbox = AsyncSandboxClient(stage.sandbox_url)
        self._signers = ThreadPoolExecutor(2, thread_name_prefix="sign")
        self._numbers = count(1)
        self._users = count(1)
        self.pool = Pool(stage.settings.port)

    async def __aenter__(self) -> Traffic:
        await self.pool.warm(16)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pool.close()
        self._signers.shutdown()
        await self._sandbox.close()

    async def talks(self, number: int) -> list[Talk]:
        """New conversations, half of them each endpoint's; Parley hears of each with its first message."""
        made = []
        for _ in range(number):
            user = next(self._users)
            endpoint = ENDPOINTS[user % len(ENDPOINTS)]
            view = await self._sandbox(
                calls.start(tenant=endpoint, user={"userId": f"user-{user}"}, announce=False)
            )
            made.append(Talk(view.id, endpoint))
        return made

    async def talk_again(self, endpoint: str, conversation: str) -> Talk:
        """A conversation that Parley knows already, by 8x8's id."""
        view = await self._sandbox(calls.start(tenant=endpoint, id=conversation, announce=False))
        return Talk(view.id, endpoint)

    async def messages(self, talks: Sequence[Talk], number: int) -> list[Shot]:
        """Messages of users, signed, one conversation after the other."""
        return await self._signed([talks[each % len(talks)] for each in range(number)], self._message)

    async def typing(self, talks: Sequence[Talk], number: int) -> list[Shot]:
        """Activities that no bot answers, signed."""
        return await self._signed([talks[each % len(talks)] for each in range(number)], self._typing)

    async def _signed(self, talks: Sequence[Talk], make: Make) -> list[Shot]:
        loop = asyncio.get_running_loop()
        size = 200
        parts = [talks[start : start + size] for start in range(0, len(talks), size)]
        done = await asyncio.gather(
            *(
                loop.run_in_executor(self._signers, lambda part=part: [make(talk) for talk in part])  # type: ignore[misc]
                for part in parts
            )
        )
        return [shot for part in done for shot in part]

    def _message(self, talk: Talk) -> Shot:
        text = f"message {next(self._numbers)} of the benchmark"
        data: JsonObject = {
            "isEcho": False,
            "sender": {"id": f"user-{talk.id}", "type": "user"},
            "text": text,
        }
        return self._shot(talk, "MESSAGE", data, text)

    def _typing(self, talk: Talk) -> Shot:
        return self._shot(talk, "ACTIVITY", events.typing([{"id": f"user-{talk.id}", "type": "user"}]), "")

    def _shot(self, talk: Talk, kind: str, data: JsonObject, text: str) -> Shot:
        body = events.encode(events.event(kind, talk.id, now_ms(), data))
        stamp = Stamp(talk.endpoint, CUSTOMER, new_id(), 0, now_ms())
        headers = signed_headers(self._key, stamp, body)
        head = [
            f"POST /8x8/{talk.endpoint}-token-0123456789 HTTP/1.1",
            "host: 127.0.0.1",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return Shot("\r\n".join([*head, "", ""]).encode() + body, text)

    async def newest(self) -> int:
        """Number of the newest message of the sandbox."""
        return (await self._sandbox(calls.all_messages(since=0, limit=1))).last_seq

    async def all_replies(self) -> list[str]:
        """Texts of all of the bots' messages so far."""
        messages = (await self._sandbox(calls.all_messages())).messages
        return [message.text or "" for message in messages if message.author_type == "bot"]

    async def measure(self, shots: Sequence[Shot], rate: float, *, patience: float = PATIENCE) -> Measured:
        """Send messages at a rate and see what becomes of them. Nothing is asked of the sandbox meanwhile."""
        since = await self.newest()
        theft = Theft()
        with Slowness() as slowness:
            late = await at_rate(self.pool, shots, rate)
        wanted = {REPLY + shot.text: shot for shot in shots if shot.text}
        arrived: dict[str, int] = {}
        measured = Measured(rate, len(shots), late=round(late, 1), stolen=theft.share, slowed=slowness.share)
        deadline = time.monotonic() + patience
        while len(arrived) < len(wanted) and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            page = await self._sandbox(calls.all_messages(since=since))
            since = page.last_seq
            for message in page.messages:
                if message.text in wanted:
                    measured.doubled += message.text in arrived
                    arrived.setdefault(message.text, message.arrived_ns)
        measured.refused = sum(shot.status != 200 for shot in shots) + self.pool.broken
        measured.acks = [shot.ack_ms for shot in shots if shot.status == 200]
        slow = slowness.moments
        for text, shot in wanted.items():
            if text in arrived:
                took = (arrived[text] - shot.sent_ns) / 1e6
                measured.replies.append(took)
                if not disturbed(shot.sent_ns, slow):
                    measured.undisturbed.append(took)
        measured.unanswered = len(wanted) - len(arrived)
        return measured
