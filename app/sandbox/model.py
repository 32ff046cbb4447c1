"""What the sandbox keeps: conversations and what belongs to them."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

JsonObject = dict[str, object]
State = Literal["created", "active", "idle"]

TYPING_SECONDS = 10.0
"""How long a typing indicator shows in the sandbox; 8x8 doesn't say."""


def new_id() -> str:
    """A random id in the shape of 8x8's (22 characters of base64url)."""
    return secrets.token_urlsafe(16)


def now_ms() -> int:
    """The time in milliseconds since 1970, as 8x8's events carry it."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """The time as 8x8's REST answers carry it, with milliseconds."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


@dataclass(slots=True)
class Card:
    """A card of a message; the flags say whether the user submitted or executed it."""

    id: str
    content_type: str
    content: JsonObject
    submitted: bool = False
    executed: bool = False


@dataclass(slots=True)
class Attachment:
    """A file of a conversation, its bytes included."""

    id: str
    file_name: str
    content_type: str
    content: bytes
    author_type: str
    created_at: int


@dataclass(slots=True)
class NewMessage:
    """A message before it is stored."""

    author_type: str
    text: str | None = None
    attachments: list[str] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    external_provider: JsonObject | None = None


@dataclass(slots=True)
class Message:
    """A stored message. `seq` counts all messages of the sandbox; `visible_at` is monotonic seconds."""

    seq: int
    id: str
    conversation: str
    author_type: str
    author_id: str
    text: str | None
    attachments: list[str]
    cards: list[Card]
    created_at: int
    arrived_ns: int
    visible_at: float = 0.0
    external_provider: JsonObject | None = None


@dataclass(slots=True)
class Participant:
    """Somebody who joined; `removed` once they left."""

    id: str
    type: str
    removed: bool = False


@dataclass(slots=True)
class Interaction:
    """One case within a conversation, from active to idle."""

    id: str
    started_at: int
    ended_at: int | None = None


@dataclass(slots=True)
class Conversation:
    """A conversation with everything in it. `webhook` overrides its channel's after an agent was done."""

    id: str
    tenant: str
    channel_id: str
    channel: str
    user: JsonObject
    created_at: int
    state: State = "created"
    assignment: JsonObject | None = None
    is_test: bool = False
    messages: list[Message] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    participants: dict[str, Participant] = field(default_factory=dict)
    interactions: list[Interaction] = field(default_factory=list)
    queue: str | None = None
    queued_at: int | None = None
    agent: str | None = None
    post_agent_assignment: JsonObject | None = None
    webhook: str | None = None
    typing: dict[str, float] = field(default_factory=dict)
    thinking_until: float = 0.0
    read_at: dict[str, int] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        """The id the user goes by in events."""
        return str(self.user.get("userId") or f"user-{self.id}")

    def type_for(self, author: str, seconds: float) -> None:
        """Somebody (user, bot, agent) types from now on, for so long; 0: no more."""
        self.typing[author] = time.monotonic() + seconds

    def find_message(self, message_id: str) -> Message | None:
        """A message by id, or None."""
        return next((message for message in self.messages if message.id == message_id), None)

    def find_card(self, card_id: str) -> Card | None:
        """A card by id, or None; the newest messages first."""
        return next((c for m in reversed(self.messages) for c in m.cards if c.id == card_id), None)


@dataclass(slots=True)
class Webhook:
    """A registered webhook."""

    id: str
    tenant: str
    name: str
    uri: str
    version: str = "Chat Gateway v1.0"


@dataclass(slots=True)
class Channel:
    """A channel and the webhook it notifies; `queue` is where its conversations go by default."""

    id: str
    tenant: str
    name: str
    type: str
    webhook_id: str | None
    queue: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with its queues (id → name) and the script that its bots' conversations belong to."""

    id: str
    api_key: str
    customer_id: str
    queues: Mapping[str, str]
    script: str
    label: str = ""
