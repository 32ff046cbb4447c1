"""The log of what passed between the sandbox and the outside: webhooks and REST calls, bounded."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["pending", "delivered", "given_up", "dropped", "no_webhook"]
ATTEMPTS_KEPT = 20


@dataclass(slots=True)
class Attempt:
    """One attempt at a webhook; no status: no answer, `error` says why. Times in ms."""

    retry: int
    transmission_time: int
    status: int | None
    error: str | None
    duration_ms: float


@dataclass(slots=True)
class WebhookRecord:
    """One event on its way; `headers` and `attempts` (the last 20) grow with its retries."""

    seq: int
    event_id: str
    conversation: str
    tenant: str
    url: str | None
    event_type: str
    created_at: int
    body: bytes
    outcome: Outcome = "pending"
    retries: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_KEPT))
    faults: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether nothing more happens with it."""
        return self.outcome != "pending"


@dataclass(slots=True)
class RestRecord:
    """One REST call. `status` None: the connection was cut. Bodies are cut to the logged length."""

    seq: int
    at: int
    method: str
    path: str
    operation: str | None
    conversation: str | None
    tenant: str | None
    request_headers: dict[str, str]
    request_body: bytes
    status: int | None = None
    response_body: bytes = b""
    duration_ms: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether the caller did something the real gateway would refuse."""
        return self.status is not None and 400 <= self.status < 500 and not self.faults


class Log:
    """The newest webhook and REST records."""

    def __init__(self, webhooks: int, rest: int) -> None:
        self.webhooks: deque[WebhookRecord] = deque(maxlen=webhooks)
        self.rest: deque[RestRecord] = deque(maxlen=rest)
        self._by_event: dict[str, WebhookRecord] = {}
        self._seq = 0

    def next_seq(self) -> int:
        """The number of the next record, counted over both kinds."""
        self._seq += 1
        return self._seq

    @property
    def last_seq(self) -> int:
        """The number of the newest record."""
        return self._seq

    def call(self, seq: int) -> RestRecord | None:
        """The REST record with this number that is still kept, the newest first."""
        return next((record for record in reversed(self.rest) if record.seq == seq), None)

    def add_webhook(self, record: WebhookRecord) -> None:
        """Keep a webhook record, letting the oldest go."""
        if len(self.webhooks) == self.webhooks.maxlen:
            self._by_event.pop(self.webhooks[0].event_id, None)
        self.webhooks.append(record)
        self._by_event[record.event_id] = record

    def webhook(self, event_id: str) -> WebhookRecord | None:
        """The record of an event that is still kept."""
        return self._by_event.get(event_id)

    def clear(self) -> None:
        """Forget everything; numbers go on."""
        self.webhooks.clear()
        self.rest.clear()
        self._by_event.clear()
