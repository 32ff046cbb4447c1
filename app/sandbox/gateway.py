"""What the Chat Gateway does with conversations, whoever asks, and the events that tell of it."""

import time

from app.sandbox import events
from app.sandbox.courier import Courier
from app.sandbox.faultbook import FaultBook
from app.sandbox.faults import AssignmentIgnored, EchoOff, ReadBackLate
from app.sandbox.log import Log, WebhookRecord
from app.sandbox.model import (
    Channel,
    Conversation,
    Interaction,
    JsonObject,
    Message,
    NewMessage,
    Participant,
    Tenant,
    new_id,
    now_ms,
)
from app.sandbox.signals import Signals
from app.sandbox.store import Store

BOT_ID = "bot"


TEST_MARK: JsonObject = {"key": "isTest", "value": "true"}
"""The additional property of a user by which an endpoint knows that a conversation is a test."""


def _marked_as_test(user: JsonObject) -> JsonObject:
    properties = user.get("additionalProperties")
    others = [each for each in properties if each != TEST_MARK] if isinstance(properties, list) else []
    return {**user, "additionalProperties": [*others, TEST_MARK]}


class Gateway:
    """State changes and their webhook events, in one place. All methods return at once."""

    def __init__(self, store: Store, courier: Courier, faults: FaultBook, log: Log, signals: Signals) -> None:
        self._store = store
        self._courier = courier
        self._faults = faults
        self._log = log
        self._signals = signals

    def start(
        self,
        tenant: Tenant,
        channel: Channel,
        user: JsonObject,
        assignment: JsonObject | None = None,
        *,
        conversation_id: str | None = None,
        history: list[NewMessage] | None = None,
        announce: bool = True,
        is_test: bool = False,
    ) -> Conversation:
        """A new conversation: created, then active. `announce` False sends no events about that."""
        conversation = Conversation(
            conversation_id or new_id(), tenant.id, channel.id, channel.type, user, now_ms()
        )
        if is_test:
            conversation.is_test = True
            conversation.user = _marked_as_test(user)
        conversation.assignment = assignment or {"type": "script", "id": tenant.script}
        self._store.add_conversation(conversation)
        self.take_in(conversation, "user", conversation.user_id)
        for message in history or ():
            self._keep(conversation, message)
        if announce:
            self.announce(conversation)
        self.activate(conversation, announce=announce)
        return conversation

    def activate(self, conversation: Conversation, *, announce: bool = True) -> None:
        """Begin an interaction: the conversation is active, queued where it is assigned to a queue."""
        number = f"int-{now_ms():x}-{new_id()}-chat-00-{conversation.tenant}"
        conversation.interactions.append(Interaction(number, now_ms()))
        conversation.state = "active"
        self.take_in(conversation, BOT_ID, BOT_ID)
        self._enter_queue(conversation, announce=announce)

    def end(self, conversation: Conversation) -> None:
        """The interaction is over: the conversation is idle and belongs to nobody."""
        if conversation.state == "idle":
            return
        conversation.state = "idle"
        conversation.assignment = None
        conversation.queue = conversation.queued_at = conversation.agent = conversation.webhook = None
        conversation.post_agent_assignment = None
        if conversation.interactions:
            conversation.interactions[-1].ended_at = now_ms()
        self.announce(conversation)

    def post(self, conversation: Conversation, new: NewMessage, author_id: str | None = None) -> Message:
        """Store a message and tell the endpoint of it (a bot's own comes back as an echo)."""
        conversation.typing.pop(new.author_type, None)
        message = self._keep(conversation, new, author_id)
        where = (conversation.id, conversation.tenant)
        if message.author_type == "bot":
            if late := self._faults.take(ReadBackLate, *where):
                message.visible_at = time.monotonic() + late.ms / 1000
            conversation.thinking_until = 0.0
            if self._faults.take(EchoOff, *where):
                return message
        files = [conversation.attachments[id_] for id_ in message.attachments]
        links = [self._store.link(conversation.id, file.id) for file in files]
        self.tell(conversation, "MESSAGE", events.message(message, files, links), message.created_at)
        return message

    def assign(self, conversation: Conversation, assignment: JsonObject) -> None:
        """Give the conversation to a queue or a script, taking it from whoever has it."""
        if self._faults.take(AssignmentIgnored, conversation.id, conversation.tenant):
            return
        if conversation.agent is not None:
            agent, conversation.agent = conversation.agent, None
            self.left(conversation, "agent", agent)
        conversation.queue = conversation.queued_at = None
        conversation.assignment = assignment
        if conversation.state == "idle":
            self.activate(conversation)
        else:
            self._enter_queue(conversation)

    def announce(self, conversation: Conversation) -> str:
        """Tell the endpoint of the conversation's state, assignment and user."""
        return self.tell(conversation, "CONVERSATION_UPDATE", events.conversation_update(conversation))

    def joined(self, conversation: Conversation, member: str, member_id: str) -> str:
        """Somebody joined: noted and told."""
        self.take_in(conversation, member, member_id)
        data = events.members_changed(member, "joined", member_id)
        return self.tell(conversation, "MEMBERS_CHANGED", data)

    def left(self, conversation: Conversation, member: str, member_id: str) -> str:
        """Somebody left: noted and told."""
        conversation.participants.setdefault(member_id, Participant(member_id, member)).removed = True
        data = events.members_changed(member, "left", member_id)
        return self.tell(conversation, "MEMBERS_CHANGED", data)

    def tell(
        self,
        conversation: Conversation,
        kind: str,
        data: JsonObject | None = None,
        timestamp: int | None = None,
    ) -> str:
        """Send an event to the conversation's webhook. Returns the event id."""
        body = events.event(kind, conversation.id, timestamp or now_ms(), data)
        return self.send(conversation, kind, events.encode(body))

    def send(self, conversation: Conversation, kind: str, body: bytes, event_id: str | None = None) -> str:
        """Send any bytes as an event of the conversation. Returns the event id."""
        record = self.record(conversation, kind, body, event_id)
        customer = self._store.tenants[conversation.tenant].customer_id
        self._courier.send(record, customer)
        self._signals.wake(conversation.id)
        return record.event_id

    def record(
        self, conversation: Conversation, kind: str, body: bytes, event_id: str | None = None
    ) -> WebhookRecord:
        """A fresh log record for an event of the conversation, not sent yet."""
        return WebhookRecord(
            seq=self._log.next_seq(),
            event_id=event_id or new_id(),
            conversation=conversation.id,
            tenant=conversation.tenant,
            url=self._store.webhook_url(conversation),
            event_type=kind,
            created_at=now_ms(),
            body=body,
        )

    def _keep(self, conversation: Conversation, new: NewMessage, author_id: str | None = None) -> Message:
        arrived = time.time_ns()
        if author_id is None:
            author_id = conversation.user_id if new.author_type == "user" else BOT_ID
        message = Message(
            self._store.next_seq(),
            new_id(),
            conversation.id,
            new.author_type,
            author_id,
            new.text,
            new.attachments,
            new.cards,
            arrived // 1_000_000,
            arrived,
            external_provider=new.external_provider,
        )
        self._store.add_message(conversation, message)
        self._signals.wake(conversation.id)
        return message

    def take_in(self, conversation: Conversation, member: str, member_id: str) -> None:
        """Note that somebody takes part, for the first time or again; nobody is told."""
        participant = conversation.participants.setdefault(member_id, Participant(member_id, member))
        participant.removed = False

    def _enter_queue(self, conversation: Conversation, *, announce: bool = True) -> None:
        assignment = conversation.assignment or {}
        if assignment.get("type") == "queue":
            conversation.queue, conversation.queued_at = str(assignment["id"]), now_ms()
        if announce:
            self.announce(conversation)
        if announce and conversation.queue is not None:
            name = self._store.tenants[conversation.tenant].queues[conversation.queue]
            self.tell(conversation, "QUEUED", events.queued(conversation.queue, name))
