"""What the receiver counts, for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app.gateway.events import KNOWN_TYPES
from app.gateway.keys import Fetched
from app.receiver.gauges import Gauges

#: Types that events are counted by: 8x8's, and those of services.
COUNTED = KNOWN_TYPES | {"PARLEY_INJECT", "PARLEY_NOTIFY"}
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The receiver's metrics, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._events = Counter(
            "parley_events",
            "Webhook events by what became of them.",
            ["endpoint", "type", "result"],
            registry=self.registry,
        )
        self._refused = Counter(
            "parley_refused", "Webhook requests refused.", ["endpoint", "status"], registry=self.registry
        )
        self._ack = Histogram(
            "parley_ack_seconds",
            "From a webhook request's head to its answer.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._keys = Counter(
            "parley_key_fetches", "Fetches of 8x8's public keys.", ["result"], registry=self.registry
        )
        self._incidents = Counter(
            "parley_incidents", "Incidents made by the receiver.", ["kind"], registry=self.registry
        )
        self._notifications = Counter(
            "parley_notifications", "Notifications sent to workers.", ["result"], registry=self.registry
        )
        self._waiting = Gauge(
            "parley_receiver_waiting", "Events that wait to be stored.", registry=self.registry
        )
        self._gauges: Gauges | None = None
        self._event_counters: dict[tuple[str, str, str], Counter] = {}

    def event(self, endpoint: str, kind: str, result: str) -> None:
        """Count an event that was stored, or came again. Undocumented types count as `other`."""
        key = (endpoint, kind if kind in COUNTED else "other", result)
        counter = self._event_counters.get(key)
        if counter is None:
            counter = self._event_counters[key] = self._events.labels(*key)
        counter.inc()

    def refused(self, endpoint: str, status: int) -> None:
        """Count a request that was refused; the endpoint is empty where the token is unknown."""
        self._refused.labels(endpoint, str(status)).inc()

    def ack(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._ack.observe(seconds)

    def key_fetch(self, result: Fetched) -> None:
        """Count a fetch of a public key."""
        self._keys.labels(result.value).inc()

    def incident(self, kind: str) -> None:
        """Count an incident."""
        self._incidents.labels(kind).inc()

    def notification(self, result: str) -> None:
        """Count a notification: sent or failed."""
        self._notifications.labels(result).inc()

    async def refresh(self) -> None:
        """Read again what is read from elsewhere."""
        if self._gauges is not None:
            await self._gauges.refresh()

    def add(self, gauges: Gauges) -> None:
        """Show what the database knows too."""
        self._gauges = gauges
        self.registry.register(gauges)

    def watch_waiting(self, waiting: Callable[[], float]) -> None:
        """Have the number of waiting events read when the metrics are."""
        self._waiting.set_function(waiting)

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)
