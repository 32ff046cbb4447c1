"""The control API's calls as values: what to ask, and the type of the answer.

`app.sandbox.client` carries them out, waiting or not: `sandbox(say(conversation, "Hello"))`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from app.sandbox import schema
from app.sandbox.faults import AnyFault

T = TypeVar("T")
API = "/sandbox/api"
JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `wait` is how many seconds the server may take on purpose."""

    answer: type[T]
    method: str
    path: str
    body: msgspec.Struct | None = None
    query: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0


def _one(conversation: str) -> str:
    return f"{API}/conversations/{conversation}"


def _post(answer: type[T], path: str, body: msgspec.Struct | None = None) -> Call[T]:
    return Call(answer, "POST", path, body)


def _query(**values: object) -> dict[str, str]:
    given = {name: value for name, value in values.items() if value is not None}
    return {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in given.items()}


def health() -> Call[schema.Health]:
    """Whether the sandbox answers."""
    return Call(schema.Health, "GET", f"{API}/health")


def reset() -> Call[schema.Health]:
    """Forget conversations, logs, faults and what is on its way; tenants and keys stay."""
    return _post(schema.Health, f"{API}/reset")


def tenants() -> Call[schema.Tenants]:
    """All tenants."""
    return Call(schema.Tenants, "GET", f"{API}/tenants")


def put_tenant(
    tenant: str, api_key: str, webhooks: dict[str, str], *, customer_id: str = "sandbox-customer"
) -> Call[schema.TenantView]:
    """Add or replace a tenant; `webhooks` by channel type, "*" for all others."""
    body = schema.TenantBody(api_key=api_key, webhooks=webhooks, customer_id=customer_id)
    return Call(schema.TenantView, "PUT", f"{API}/tenants/{tenant}", body)


def verify(tenant: str) -> Call[schema.Verified]:
    """Whether the tenant's webhooks answer."""
    return _post(schema.Verified, f"{API}/tenants/{tenant}/verify")


def start(
    *,
    tenant: str | None = None,
    channel: schema.Channel = "WebChat",
    user: JsonObject | None = None,
    id: str | None = None,
    announce: bool = True,
    is_test: bool = False,
) -> Call[schema.ConversationView]:
    """Start a conversation."""
    body = schema.Start(
        tenant=tenant, channel=channel, user=user or {}, id=id, announce=announce, is_test=is_test
    )
    return _post(schema.ConversationView, f"{API}/conversations", body)


def conversation(identifier: str) -> Call[schema.ConversationView]:
    """One conversation."""
    return Call(schema.ConversationView, "GET", _one(identifier))


def conversations(limit: int = 1000) -> Call[schema.Conversations]:
    """The newest conversations."""
    return Call(schema.Conversations, "GET", f"{API}/conversations", query=_query(limit=limit))


def messages(
    conversation: str,
    *,
    since: int = 0,
    author: str | None = None,
    at_least: int = 1,
    timeout: float = 0.0,
) -> Call[schema.Messages]:
    """Messages after `since`; waits up to `timeout` seconds until there are `at_least` so many."""
    query = _query(since=since, author=author, at_least=at_least, timeout=timeout)
    return Call(schema.Messages, "GET", f"{_one(conversation)}/messages", query=query, wait=timeout)


def all_messages(*, since: int = 0, limit: int = 100_000) -> Call[schema.Messages]:
    """Messages of all conversations after `since`, in the order they arrived."""
    return Call(schema.Messages, "GET", f"{API}/messages", query=_query(since=since, limit=limit))


def say(conversation: str, text: str) -> Call[schema.Posted]:
    """The user writes."""
    return _post(schema.Posted, f"{_one(conversation)}/user/text", schema.Say(text=text))


def quick_reply(
    conversation: str, option: int | None = None, *, title: str | None = None, payload: object = None
) -> Call[schema.Posted]:
    """The user clicks a quick reply: the newest ones' `option` from 1, or any title and payload."""
    body = schema.QuickReply(option=option, title=title, payload=payload)
    return _post(schema.Posted, f"{_one(conversation)}/user/quick-reply", body)


def use_card(
    conversation: str, data: object, *, card_id: str | None = None, execute: bool = False
) -> Call[schema.Posted]:
    """The user submits (or executes) a card."""
    kind = "Action.Execute" if execute else "Action.Submit"
    body = schema.CardUse(data=data, type=kind, card_id=card_id)  # type: ignore[arg-type]  # a Literal
    return _post(schema.Posted, f"{_one(conversation)}/user/card", body)


def send_file(
    conversation: str,
    file_name: str,
    content: bytes,
    *,
    content_type: str | None = None,
    text: str | None = None,
) -> Call[schema.Posted]:
    """The user sends a file."""
    body = schema.SendFile(file_name=file_name, content=content, content_type=content_type, text=text)
    return _post(schema.Posted, f"{_one(conversation)}/user/file", body)


def activity(conversation: str, name: str, value: object) -> Call[schema.Posted]:
    """Any activity of the user."""
    body = schema.Activity(name=name, value=value)
    return _post(schema.Posted, f"{_one(conversation)}/user/activity", body)


def user_typing(conversation: str, on: bool = True) -> Call[schema.Posted]:
    """The user begins or stops typing."""
    return _post(schema.Posted, f"{_one(conversation)}/user/typing", schema.Typing(on=on))


def user_leaves(conversation: str) -> Call[schema.Posted]:
    """The user leaves."""
    return _post(schema.Posted, f"{_one(conversation)}/user/leave")


def idle(conversation: str) -> Call[schema.Posted]:
    """The interaction ends by itself."""
    return _post(schema.Posted, f"{_one(conversation)}/idle")


def queues() -> Call[schema.Queues]:
    """All queues and who waits."""
    return Call(schema.Queues, "GET", f"{API}/queues")


def accept(
    conversation: str, agent: str = "agent-1", *, joined_event: bool = True
) -> Call[schema.ConversationView]:
    """An agent takes the conversation out of its queue."""
    body = schema.Accept(agent=agent, joined_event=joined_event)
    return _post(schema.ConversationView, f"{_one(conversation)}/agent/accept", body)


def agent_says(conversation: str, text: str) -> Call[schema.Posted]:
    """The agent writes."""
    return _post(schema.Posted, f"{_one(conversation)}/agent/text", schema.Say(text=text))


def agent_typing(conversation: str, on: bool = True) -> Call[schema.Posted]:
    """The agent begins or stops typing."""
    return _post(schema.Posted, f"{_one(conversation)}/agent/typing", schema.Typing(on=on))


def transfer(
    conversation: str,
    queue: str,
    *,
    transfer_first: bool = False,
    gap: float = 0.0,
    left_event: bool = True,
) -> Call[schema.ConversationView]:
    """The agent transfers; `transfer_first`: TRANSFER comes before MEMBERS_CHANGED `left`."""
    body = schema.Transfer(
        queue=queue,
        order="transfer_first" if transfer_first else "left_first",
        gap=gap,
        left_event=left_event,
    )
    path = f"{_one(conversation)}/agent/transfer"
    return Call(schema.ConversationView, "POST", path, body, wait=2 * gap)


def agent_leaves(conversation: str) -> Call[schema.ConversationView]:
    """The agent is done."""
    return _post(schema.ConversationView, f"{_one(conversation)}/agent/leave")


def send_event(conversation: str, event: schema.RawEvent) -> Call[schema.WebhookView]:
    """Send any event; see `schema.RawEvent`."""
    return _post(schema.WebhookView, f"{_one(conversation)}/events", event)


def resend(event_id: str) -> Call[schema.WebhookView]:
    """Send a logged event once more, with the same id and body."""
    return _post(schema.WebhookView, f"{API}/webhooks/{event_id}/resend")


def sign(events: Sequence[schema.SignItem]) -> Call[schema.SignedBatch]:
    """Sign events that the caller posts itself."""
    return _post(schema.SignedBatch, f"{API}/sign", schema.SignBatch(events=list(events)))


def webhooks(
    *, since: int = 0, conversation: str | None = None, event_type: str | None = None, limit: int = 1000
) -> Call[schema.Webhooks]:
    """The newest webhook records."""
    query = _query(since=since, conversation=conversation, event_type=event_type, limit=limit)
    return Call(schema.Webhooks, "GET", f"{API}/webhooks", query=query)


def webhook(event_id: str, *, timeout: float = 0.0) -> Call[schema.WebhookView]:
    """One webhook's record, once it is settled or the timeout is over."""
    query = _query(timeout=timeout)
    return Call(schema.WebhookView, "GET", f"{API}/webhooks/{event_id}", query=query, wait=timeout)


def settled(timeout: float = 10.0) -> Call[schema.Settled]:
    """Wait until no webhook is on its way."""
    query = _query(timeout=timeout)
    return Call(schema.Settled, "GET", f"{API}/settled", query=query, wait=timeout)


def rest_calls(
    *,
    since: int = 0,
    conversation: str | None = None,
    operation: str | None = None,
    refused: bool | None = None,
    limit: int = 1000,
) -> Call[schema.RestCalls]:
    """The newest REST records."""
    query = _query(since=since, conversation=conversation, operation=operation, refused=refused, limit=limit)
    return Call(schema.RestCalls, "GET", f"{API}/rest", query=query)


def resend_call(seq: int) -> Call[schema.Again]:
    """Send a logged REST call once more."""
    return Call(schema.Again, "POST", f"{API}/rest/{seq}/resend", wait=30.0)


def faults() -> Call[schema.Faults]:
    """All faults with how often they applied."""
    return Call(schema.Faults, "GET", f"{API}/faults")


def set_faults(*wanted: AnyFault) -> Call[schema.Faults]:
    """These faults and no others; none: all off."""
    return Call(schema.Faults, "PUT", f"{API}/faults", schema.FaultList(faults=list(wanted)))


def add_fault(fault: AnyFault) -> Call[schema.FaultView]:
    """One more fault."""
    return _post(schema.FaultView, f"{API}/faults", fault)


def remove_fault(fault_id: str) -> Call[schema.Faults]:
    """One fault less."""
    return Call(schema.Faults, "DELETE", f"{API}/faults/{fault_id}")


def keys() -> Call[schema.Keys]:
    """The signing keys' ids."""
    return Call(schema.Keys, "GET", f"{API}/keys")


def rotate_key(*, forget: bool = False) -> Call[schema.Keys]:
    """Sign with a new key; `forget` unpublishes the old ones."""
    return _post(schema.Keys, f"{API}/keys/rotate", schema.Rotate(forget=forget))
