"""Sends what a conversation has to send, one thing at a time and in order."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.exc import SQLAlchemyError

from app.conversation.at_once import sent_at_once
from app.conversation.handover.failing import was_refused
from app.conversation.handover.late import shown_taken
from app.conversation.owned import owned
from app.conversation.privacy.sealed import comparable
from app.conversation.readback import Known, arrived, window
from app.conversation.sending import (
    QUOTE,
    Head,
    Later,
    Reading,
    Sending,
    sent_and_next,
    settle_failed,
    settle_reading,
    take,
)
from app.conversation.services import Host, Services
from app.conversation.state import ConversationState, leaves_no_text
from app.conversation.store import insert_rows
from app.conversation.uploading import with_files
from app.conversation.visible import name_of, visibly
from app.endpoints import Endpoint
from app.errors import GatewayError
from app.gateway.outcome import Outcome, Retry, Sent, Unauthorized
from app.gateway.outgoing import files_of, render
from app.gateway.transport import MayBegin

log = structlog.get_logger(__name__)

#: What reading a conversation back said of a message, for the log.
_FOUND = {True: "read_back_found", False: "read_back_absent", None: "read_back_failed"}

#: A request that has not begun this long after it was taken is not begun any more: whoever took the
#: conversation over meanwhile may be sending it.
STALE_AFTER = 1.5
#: Seconds that 8x8 has to show who has a conversation before an assignment is sent again; what is left until
#: `STALE_AFTER` is for sending it.
LOOK_WITHIN = 1.0
#: A list of messages that still lacks what was accepted this long ago will not show it any more.
LAG = timedelta(seconds=60)
#: Messages of a conversation that are read back, the newest: fewer than deliveries are compared with them.
PAGE = 100

_SENT_BEFORE = text(
    """
    SELECT COALESCE(content->>'text', '') AS body, COALESCE(sent_at, created_at) AS settled, COALESCE(
        (SELECT min(started_at) FROM delivery_attempt a WHERE a.delivery_id = newest.id), created_at) AS begun
    FROM (
        SELECT id, content, sent_at, created_at, place FROM delivery
        WHERE conversation_id = :id AND kind = 'message' AND status = 'sent'
        ORDER BY place DESC LIMIT 150) newest
    ORDER BY place
    """
).columns(settled=TIMESTAMP(timezone=True), begun=TIMESTAMP(timezone=True))

_CREATED = text(
    "SELECT min(started_at) AS first FROM delivery_attempt WHERE delivery_id = :delivery"
).columns(first=TIMESTAMP(timezone=True))


class Outbox:
    """The deliveries of one owned conversation."""

    def __init__(self, services: Services, state: ConversationState) -> None:
        self._services = services
        self._state = state
        self._lock = asyncio.Lock()
        self._again = False
        self._handed = 0
        """How many wait to send what they have taken."""
        self.host: Host | None = None
        """Shows an assignment to ops, while a turn is under way."""
        self.what = "delivery"
        """What is to be tried again, as ops see it."""
        self.later: datetime | None = None
        """When the first open delivery is to be looked at again; None: nothing is open."""
        self.failures = 0
        """Attempts of the first open delivery that failed since it was first tried here."""

    @property
    def busy(self) -> bool:
        """Whether something is being sent."""
        return self._lock.locked()

    async def run(self, head: Head = None) -> None:
        """Send until nothing is due. `head` was taken by the caller; else the first open delivery is."""
        if self._lock.locked() and head is None:
            self._again = True
            return
        self._handed += head is not None
        async with self._lock:
            if head is None:
                head = await self._take()
            else:
                self._handed -= 1
            while True:
                while isinstance(head, Sending | Reading):
                    head = await self._work(head)
                self.later = head.at if isinstance(head, Later) else None
                if not self._again or self._handed:  # who waits looks again; it would find theirs begun
                    return
                self._again = False
                head = await self._take()

    async def _take(self) -> Head:
        services, state = self._services, self._state
        async with owned(services.engine, state) as holding:
            endpoint = services.endpoints[state.endpoint]
            return await take(holding, state, endpoint, services.pauses, services.now())

    async def _work(self, head: Sending | Reading) -> Head:
        """Send or read back (no transaction is open meanwhile), write the result, take what is next."""
        endpoint = self._services.endpoints[self._state.endpoint]
        outcome: Outcome | None = None
        found: bool | None = None
        dead: str | None = None
        if isinstance(head, Sending):
            outcome = await self._send(endpoint, head)
        else:
            found = await self._read_back(head)
        if isinstance(head, Sending) and isinstance(outcome, Sent):
            next_head = await self._was_sent(head, outcome)
        else:
            next_head, dead = await self._was_not_sent(endpoint, head, outcome, found)
        self._note(head, outcome, found, dead)
        return next_head

    async def _was_sent(self, head: Sending, outcome: Sent) -> Head:
        services, state = self._services, self._state
        endpoint, now = services.endpoints[state.endpoint], services.now()
        next_head: Head = None
        if not (head.alone and await sent_at_once(services.engine, state, head, outcome, now)):
            async with owned(services.engine, state) as holding:
                next_head = await sent_and_next(holding, state, endpoint, services.pauses, now, head, outcome)
                if head.kind == "message" and not isinstance(next_head, Sending):  # it would be found at 8x8
                    holding.is_repeatable()
        if services.pauses.paused(state.endpoint):
            await self._resume()
        return next_head

    async def _resume(self) -> None:
        """8x8 takes the key again. What is next has been taken already, so this must not fail."""
        name = self._state.endpoint
        try:
            await self._services.pauses.resume(name)
        except (SQLAlchemyError, OSError) as error:  # the next one that is sent tries again
            log.warning("resume_failed", endpoint=name, error=type(error).__name__)
        else:
            log.info("endpoint_resumed", endpoint=name)

    async def _was_not_sent(
        self, endpoint: Endpoint, head: Sending | Reading, outcome: Outcome | None, found: bool | None
    ) -> tuple[Head, str | None]:
        """Write a failure or what was read back; what is next, and the reason if the delivery is dead.

        `endpoint` is as it was asked with: its key may have changed since.
        """
        services, state = self._services, self._state
        now = services.now()
        await services.ids.timer.reserve(1)
        timer_id = services.ids.timer.take()
        self.what = name_of(head.kind, head.content) if isinstance(head, Sending) else "message"
        newly_paused = False
        async with owned(services.engine, state) as holding:
            if isinstance(head, Sending):
                assert outcome is not None and not isinstance(outcome, Sent)
                quote = not leaves_no_text(state, endpoint)
                dead = await settle_failed(holding, head, outcome, now, quote=quote)
                if isinstance(outcome, Unauthorized):
                    newly_paused = await services.pauses.pause(await holding.sqlalchemy(), endpoint)
            else:
                dead = await settle_reading(holding, head, found, now)
            incidents = []
            if newly_paused:
                detail = {"status": getattr(outcome, "status", None)}
                incidents.append(self._incident("endpoint_paused", None, detail))
            if dead is not None:
                incidents.append(
                    self._incident("dead_letter", state.id, {"delivery": head.delivery_id, "reason": dead})
                )
            await insert_rows(holding, "incident", incidents)
            if dead is not None and isinstance(head, Sending) and "handover" in head.content:
                connection = await holding.sqlalchemy()
                await was_refused(connection, timer_id, state, head.kind, head.content, now)
            read = head.delivery_id if isinstance(head, Reading) else None
            return await take(holding, state, endpoint, services.pauses, services.now(), read=read), dead

    def _incident(
        self, kind: str, conversation_id: int | None, detail: dict[str, object]
    ) -> dict[str, object]:
        return {
            "kind": kind,
            "endpoint": self._state.endpoint,
            "conversation_id": conversation_id,
            "detail": detail,
        }

    def _note(
        self, head: Sending | Reading, outcome: Outcome | None, found: bool | None, dead: str | None
    ) -> None:
        if isinstance(outcome, Sent) or found or dead is not None:
            self.failures = 0
        else:
            self.failures += 1
        if not isinstance(outcome, Sent):
            log.warning(
                "delivery_unsettled" if dead is None else "delivery_dead",
                endpoint=self._state.endpoint,
                conversation=self._state.id,
                delivery=head.delivery_id,
                attempt=head.number,
                outcome=type(outcome).__name__ if outcome else _FOUND[found],
                status=getattr(outcome, "status", None),
                reason=dead and dead.partition(QUOTE)[0],
            )

    def _fresh(self, since: datetime) -> MayBegin:
        """Whether what was ours then may still be begun, asked right before it is."""
        return lambda: (self._services.now() - since).total_seconds() <= STALE_AFTER

    async def _send(self, endpoint: Endpoint, sending: Sending) -> Outcome:
        services, state = self._services, self._state
        fresh = self._fresh(sending.taken_at)
        if not fresh():
            return Retry(None, None, "taken too long ago")
        if sending.kind == "message":
            return await self._send_message(endpoint, sending)
        content = sending.content
        if sending.kind == "note":
            return await services.gateway.update_user(
                endpoint, state.external_id, content["user"], may_begin=fresh
            )
        if sending.kind in ("assignment", "return"):
            return await self._assign(endpoint, sending)
        return await services.gateway.post_agent_assignment(
            endpoint,
            state.external_id,
            content["webhook_id"],
            max_total_minutes=content.get("max_total_minutes"),
            user_timeout_minutes=content.get("user_timeout_minutes"),
            may_begin=fresh,
        )

    async def _send_message(self, endpoint: Endpoint, sending: Sending) -> Outcome:
        services, state = self._services, self._state
        body: dict[str, Any] | Outcome = render(sending.content)
        since = sending.taken_at
        if keys := files_of(sending.content):
            body = await with_files(services, state, endpoint, render(sending.content), keys)
            since = services.now()  # it was ours a moment ago
        if not isinstance(body, dict):
            return body
        return await services.gateway.send(endpoint, state.external_id, body, may_begin=self._fresh(since))

    async def _assign(self, endpoint: Endpoint, sending: Sending) -> Outcome:
        content = sending.content

        async def request() -> Outcome:
            if (
                sending.kind == "assignment"
                and sending.number > 1
                and await self._is_taken(endpoint, content)
            ):
                return Sent(200)
            return await self._services.gateway.assign(
                endpoint,
                self._state.external_id,
                content["assignment"],
                user=content.get("user"),
                may_begin=self._fresh(sending.taken_at),
            )

        if self.host is None or sending.kind != "assignment":
            return await request()
        return await visibly(self.host, name_of(sending.kind, content), request)

    async def _is_taken(self, endpoint: Endpoint, content: dict[str, Any]) -> bool:
        """Whether 8x8 has done what it was asked for before; false, too, where it doesn't say so soon."""
        try:
            shown = await self._services.gateway.conversation(
                endpoint, self._state.external_id, timeout=LOOK_WITHIN
            )
        except GatewayError:
            return False
        return shown_taken(shown, content["assignment"].get("id"))

    async def _read_back(self, reading: Reading) -> bool | None:
        """Whether the delivery arrived; None when 8x8 can't tell now."""
        services, state = self._services, self._state
        endpoint = services.endpoints[state.endpoint]
        try:
            there = await services.gateway.messages(endpoint, state.external_id, size=PAGE)
        except GatewayError:
            return None
        async with services.engine.connect() as connection:
            before = list(await connection.execute(_SENT_BEFORE, {"id": state.id}))
            first = (await connection.execute(_CREATED, {"delivery": reading.delivery_id})).scalar_one()
        oldest = there[-1].created_at if len(there) >= PAGE else None
        since, sent = window(
            first, [Known(row.body, row.begun, row.settled) for row in before], shown_from=oldest
        )
        texts = [
            message.text
            for message in reversed(there)
            if message.author_type == "bot" and (message.created_at is None or message.created_at >= since)
        ]
        texts = [comparable(text, sent) for text in texts]
        wanted = comparable(reading.content.get("text") or "", sent)
        found = arrived(texts, sent, wanted, earlier=[row.body for row in before])
        return False if found is None and services.now() - first > LAG else found
