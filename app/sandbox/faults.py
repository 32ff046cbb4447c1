"""Faults: what can be made to go wrong, for whom, how often. The schema of `/sandbox/api/faults`.

Each fault is a JSON object with `kind` and that kind's fields; all share the fields of `Fault`.
"""

from typing import Annotated, Literal

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Status = Annotated[int, msgspec.Meta(ge=400, le=599)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Operation = Literal[
    "send_message",
    "read_messages",
    "read_message",
    "create_conversation",
    "read_conversation",
    "list_conversations",
    "update_conversation",
    "post_agent_assignment",
    "typing",
    "thinking",
    "read_receipt",
    "participants",
    "end_conversation",
    "interactions",
    "attachments",
    "cards",
    "webhooks",
    "channels",
]
"""What a REST request does. `update_conversation` is PATCH and PUT: user data and assignment."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every fault has in common.

    It applies to what matches `conversation`, `tenant` (None: all), after the first `skip` matches,
    to every `every`-th of them, `count` times in all (None: until removed), for `for_seconds` at most.
    """

    conversation: str | None = None
    tenant: str | None = None
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    every: Count = 1
    count: Count | None = None
    for_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def concerns(self, conversation: str | None, tenant: str | None, detail: str | None) -> bool:
        """Whether it matches; `detail` is the operation or the event type."""
        return self.conversation in (None, conversation) and self.tenant in (None, tenant)


class RestFault(Fault, kw_only=True):
    """A fault of REST requests; `operation` None: all but the key service."""

    operation: Operation | None = None

    def concerns(self, conversation: str | None, tenant: str | None, detail: str | None) -> bool:
        return super().concerns(conversation, tenant, detail) and self.operation in (None, detail)


class RestDelay(RestFault, kw_only=True, tag="rest_delay"):
    """REST requests wait for `ms` before they are looked at."""

    ms: Milliseconds


class RestError(RestFault, kw_only=True, tag="rest_error"):
    """REST requests are refused with `status` before anything happens; `retry_after` in seconds."""

    status: Status = 500
    retry_after: Annotated[float, msgspec.Meta(ge=0)] | None = None


class AnswerLost(RestFault, kw_only=True, tag="answer_lost"):
    """The request is carried out, then its answer is lost.

    `drop`: the connection is cut; `504`: a gateway time-out is answered; `hang`: nothing is answered
    for `hold_ms`, then the connection is cut.
    """

    operation: Operation | None = "send_message"
    how: Literal["drop", "504", "hang"] = "drop"
    hold_ms: Milliseconds = 15_000


class RequestCut(RestFault, kw_only=True, tag="request_cut"):
    """The connection is cut before anything happens: to the caller this looks like a lost answer."""


class ReadBackLate(Fault, kw_only=True, tag="read_back_late"):
    """A message stored now can be read back only after `ms`."""

    ms: Milliseconds


class AssignmentIgnored(Fault, kw_only=True, tag="assignment_ignored"):
    """An assignment is accepted with 202 and never takes effect."""


class WebhookFault(Fault, kw_only=True):
    """A fault of webhooks; `event_type` None: all."""

    event_type: str | None = None

    def concerns(self, conversation: str | None, tenant: str | None, detail: str | None) -> bool:
        return super().concerns(conversation, tenant, detail) and self.event_type in (None, detail)


class WebhookDuplicate(WebhookFault, kw_only=True, tag="webhook_duplicate"):
    """An event is sent `copies` times at once, with the same event id and body."""

    copies: Annotated[int, msgspec.Meta(ge=2, le=50)] = 2


class WebhookReorder(WebhookFault, kw_only=True, tag="webhook_reorder"):
    """An event is overtaken by the next of its conversation, if one comes within `hold_ms`."""

    hold_ms: Milliseconds = 500


class WebhookDelay(WebhookFault, kw_only=True, tag="webhook_delay"):
    """An event is sent `ms` late; those behind it in its conversation wait."""

    ms: Milliseconds


class WebhookDrop(WebhookFault, kw_only=True, tag="webhook_drop"):
    """An event is never sent."""


class WebhookBadSignature(WebhookFault, kw_only=True, tag="webhook_bad_signature"):
    """An event is signed with a key that isn't published, once; its retry is signed well."""


class EchoOff(Fault, kw_only=True, tag="echo_off"):
    """Bot messages come back as no event."""


class JwkError(Fault, kw_only=True, tag="jwk_error"):
    """The key service answers `status`."""

    status: Status = 500


class JwkString(Fault, kw_only=True, tag="jwk_string"):
    """The key service answers a JSON string that holds the JWK, as 8x8's description has it."""


class Outage(Fault, kw_only=True, tag="outage"):
    """Nothing works: REST and key service answer 503 (or cut, `how`), webhooks wait till it is over."""

    for_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = 10.0
    how: Literal["503", "drop"] = "503"


AnyFault = (
    RestDelay
    | RestError
    | AnswerLost
    | RequestCut
    | ReadBackLate
    | AssignmentIgnored
    | WebhookDuplicate
    | WebhookReorder
    | WebhookDelay
    | WebhookDrop
    | WebhookBadSignature
    | EchoOff
    | JwkError
    | JwkString
    | Outage
)
"""Any fault, told apart by `kind`."""
