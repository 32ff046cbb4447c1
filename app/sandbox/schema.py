"""The control API's JSON: what is asked for and what is answered. Shared with its client."""

from typing import Annotated, Literal

import msgspec

from app.sandbox.config import CHANNEL_TYPES, DEFAULT_QUEUES
from app.sandbox.faults import AnyFault

JsonObject = dict[str, object]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]
Channel = Literal["WebChat", "WhatsApp", "SMS", "Facebook", "Viber", "RCS", "Email", "ChatAPI", "Twitter"]
assert Channel.__args__ == CHANNEL_TYPES  # type: ignore[attr-defined]  # one list, two uses


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request's body: unknown fields are mistakes."""


class TenantBody(Body):
    """A tenant to add or replace; `webhooks` by channel type, "*" for all others."""

    api_key: str
    customer_id: str = "sandbox-customer"
    webhooks: dict[str, str] = {}
    queues: dict[str, str] = msgspec.field(default_factory=lambda: dict(DEFAULT_QUEUES))
    script: str = "2001"


class Start(Body):
    """A conversation to start; `tenant` None: the first. `user` is 8x8's user object as it is.

    `announce` False sends no CONVERSATION_UPDATE; `id` None: a random one.
    """

    tenant: str | None = None
    channel: Channel = "WebChat"
    user: JsonObject = {}
    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    announce: bool = True
    is_test: bool = False


class Say(Body):
    """Text of the user or the agent."""

    text: str


class QuickReply(Body):
    """A click on a quick reply: by `option` (from 1, of the newest ones), or by title and payload."""

    option: int | None = None
    title: str | None = None
    payload: object = None


class CardUse(Body):
    """A card that is submitted or executed; with `card_id` it is marked so."""

    data: object = None
    type: Literal["Action.Submit", "Action.Execute"] = "Action.Submit"
    card_id: str | None = None


class SendFile(Body):
    """A file the user sends; `content` is base64 in JSON."""

    file_name: str
    content: bytes
    content_type: str | None = None
    text: str | None = None


class Activity(Body):
    """Any ACTIVITY of the user."""

    name: str
    value: object = None


class Typing(Body):
    """Typing began, or stopped."""

    on: bool = True


class Accept(Body):
    """An agent accepts; `joined_event` False: MEMBERS_CHANGED is never sent."""

    agent: str = "agent-1"
    joined_event: bool = True


class Transfer(Body):
    """The agent transfers; `order` of MEMBERS_CHANGED `left` and TRANSFER, `gap` seconds between them."""

    queue: str
    order: Literal["left_first", "transfer_first"] = "left_first"
    gap: Seconds = 0.0
    left_event: bool = True


class RawEvent(Body):
    """Any event. Either `event` (JSON) or `body` (exact text) is sent.

    With any of the fields from `signature` on it is sent once, at once, past the queue, and the answer
    is in the record given back; else it is queued like every event and retried.
    """

    event: JsonObject | None = None
    body: str | None = None
    event_id: str | None = None
    signature: Literal["valid", "wrong_key", "none"] | None = None
    tenant: str | None = None
    customer: str | None = None
    retry: int | None = None
    clock_offset_ms: int | None = None
    headers: dict[str, str] | None = None


class SignItem(Body):
    """An event to sign without sending it: for load generators. `body` wins over `event`."""

    conversation: str
    event: JsonObject | None = None
    body: str | None = None
    event_id: str | None = None
    retry: int = 0
    transmission_time: int | None = None


class SignBatch(Body):
    """Events to sign."""

    events: list[SignItem]


class Rotate(Body):
    """A key rotation; `forget` unpublishes the old keys."""

    forget: bool = False


class FaultList(Body):
    """All faults there shall be."""

    faults: list[AnyFault]


class SignedView(msgspec.Struct):
    """A request ready to be posted."""

    event_id: str
    url: str | None
    headers: dict[str, str]
    body: str


class SignedBatch(msgspec.Struct):
    """Signed requests, in the order asked for."""

    requests: list[SignedView]


class Posted(msgspec.Struct):
    """What was done: the message's number and id where there is one, the event id where there is one."""

    conversation: str
    seq: int | None = None
    message: str | None = None
    event_id: str | None = None
    created_at: int | None = None


class FileView(msgspec.Struct):
    """A file of a message; `url` is pre-signed."""

    id: str
    file_name: str
    content_type: str
    size: int
    url: str


class CardView(msgspec.Struct):
    """A card of a message."""

    id: str
    content_type: str
    content: JsonObject
    submitted: bool
    executed: bool


class MessageView(msgspec.Struct):
    """A message. `seq` is its place among all that arrived, `arrived_ns` when (ns since 1970)."""

    seq: int
    id: str
    conversation: str
    author_type: str
    author_id: str
    text: str | None
    attachments: list[FileView]
    cards: list[CardView]
    created_at: int
    arrived_ns: int


class Messages(msgspec.Struct):
    """Messages in the order they arrived; `last_seq` is the newest of the whole sandbox."""

    messages: list[MessageView]
    last_seq: int


class ConversationView(msgspec.Struct):
    """A conversation as its user and its agent would see it. `typing`: authors typing now.

    `indicator_ms`: how long it is until an indicator goes out by itself; 0: none is on.
    """

    id: str
    tenant: str
    channel: str
    channel_id: str
    state: str
    assignment: JsonObject | None
    user: JsonObject
    queue: str | None
    agent: str | None
    post_agent_assignment: JsonObject | None
    is_test: bool
    created_at: int
    typing: list[str]
    thinking: bool
    indicator_ms: int
    read_at: dict[str, int]
    webhook_url: str | None
    messages: int
    interactions: list[str]


class Conversations(msgspec.Struct):
    """Conversations, newest first."""

    conversations: list[ConversationView]


class QueueView(msgspec.Struct):
    """A queue with the conversations that wait in it, longest first."""

    tenant: str
    id: str
    name: str
    waiting: list[str]


class Queues(msgspec.Struct):
    """All queues of all tenants."""

    queues: list[QueueView]


class AttemptView(msgspec.Struct):
    """One attempt at a webhook."""

    retry: int
    transmission_time: int
    status: int | None
    error: str | None
    duration_ms: float


class WebhookView(msgspec.Struct):
    """A webhook's record; `headers` are those of its last attempt."""

    seq: int
    event_id: str
    conversation: str
    tenant: str
    url: str | None
    event_type: str
    created_at: int
    body: str
    outcome: str
    retries: int
    headers: dict[str, str]
    attempts: list[AttemptView]
    faults: list[str]


class Webhooks(msgspec.Struct):
    """Webhook records, oldest first, and how many are on their way."""

    webhooks: list[WebhookView]
    pending: int


class RestView(msgspec.Struct):
    """A REST call's record; `refused`: the caller's own mistake, not a fault's work."""

    seq: int
    at: int
    method: str
    path: str
    operation: str | None
    conversation: str | None
    tenant: str | None
    request_headers: dict[str, str]
    request_body: str
    status: int | None
    response_body: str
    duration_ms: float
    faults: list[str]
    refused: bool


class Again(msgspec.Struct):
    """The answer to a call that was sent again; no status: no answer, `error` says why."""

    status: int | None
    error: str | None


class RestCalls(msgspec.Struct):
    """REST records, oldest first."""

    calls: list[RestView]


class FaultView(msgspec.Struct):
    """A fault that was switched on; `seen`: matches, `hits`: times it applied."""

    id: str
    fault: AnyFault
    seen: int
    hits: int
    active: bool


class Faults(msgspec.Struct):
    """All faults, in the order they came."""

    faults: list[FaultView]


class Keys(msgspec.Struct):
    """The signing key's id, and all that are published."""

    current: str
    published: list[str]


class TenantView(msgspec.Struct):
    """A tenant; `webhooks` by channel type; `label` is the endpoint's name where one is known."""

    tenant: str
    label: str
    customer_id: str
    queues: dict[str, str]
    script: str
    webhooks: dict[str, str]


class Verified(msgspec.Struct):
    """Whether all webhooks of a tenant answer a WEB_HOOK_VERIFY, and the first reason why not."""

    verified: bool
    reason: str = ""


class Tenants(msgspec.Struct):
    """All tenants."""

    tenants: list[TenantView]


class Settled(msgspec.Struct):
    """Whether no webhook is on its way, and how many are."""

    settled: bool
    pending: int


class Health(msgspec.Struct):
    """The sandbox answers."""

    status: str
