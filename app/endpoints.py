"""endpoints.yaml as typed objects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from app.conversation.card_versions import CardVersion
from app.endpoints_base import FunctionPath, Strict
from app.endpoints_data import DataProtection
from app.endpoints_functions import Callers, Rate, Transformers
from app.endpoints_storage import Files

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_~.-]{16,256}$")]


class EightXEight(Strict):
    """The endpoint's side of 8x8."""

    base_url: str = "https://api.8x8.com"
    api_key: SecretStr
    tenant: str | None = None
    """Where none is set the first verified one is pinned."""
    jwk_url: str = "{base_url}/chat-gateway/v1/jwk/{kid}/public"
    """Where 8x8's public keys are; `{base_url}` and `{kid}` are filled in."""
    rate: Rate | None = None
    """How fast 8x8 may be called; unless set, as fast as it answers."""


class OnError(Strict):
    """What a user gets when the bot can't answer."""

    message: str = "Sorry, something went wrong on our side. Please try again."
    handover: str | None = Field(None, min_length=1)
    """The queue the user is handed over to as well."""


class ReturnAssignment(Strict):
    """The script that had the conversation: assigning it there takes it back from the agents."""

    type: Literal["script"] = "script"
    id: str = Field(min_length=1, max_length=100)


class ReturnToBot(Strict):
    """Ask 8x8 to give the conversation to this webhook when the agent is done. Both limits *end* it."""

    webhook_id: str = Field(min_length=1, max_length=100)
    max_total_minutes: int | None = Field(None, ge=20, le=600)
    user_timeout_minutes: int | None = Field(None, ge=10, le=300)


class HandoverSettings(Strict):
    """Defaults of `chat.handover`."""

    queue: str | None = Field(None, min_length=1)
    message: str | None = None
    """What the user reads once 8x8 has taken the handover."""
    repeat_message: bool = False
    """Say it again whenever the user writes while waiting."""
    cancel_text: str | None = None
    """What the user clicks or types to stop waiting; offered only where `return_assignment` is set."""
    on_queued: bool = True
    """Whether the bot's `on_queued` handler is told."""
    on_active: bool = True
    """Whether the bot's `on_active` handler is told."""
    inactivity: float | None = Field(None, gt=0)
    """Minutes without user input after which the bot's `on_inactive` handler is called, again and again."""
    timeout: float | None = Field(None, gt=0)
    """Seconds a user waits for an agent at most."""
    properties: dict[str, str] = Field(default_factory=dict)
    """Shown to the agent, beside the bot's own."""
    transcript_url: str | None = None
    """Where an agent can read the transcript; `{id}` is the conversation's number in Parley."""
    return_assignment: ReturnAssignment | None = None
    return_to_bot: ReturnToBot | None = None
    flow_continuation: Literal["continue", "restart"] = "continue"
    """After a handover the dialog goes on below the call, or ends so that the next message starts the bot."""


class DeliverySettings(Strict):
    """Times in seconds."""

    max_age: float = Field(600.0, gt=0)
    timeout: float = Field(10.0, gt=0, lt=15)


class Endpoint(DataProtection):
    """One 8x8 channel with its bot."""

    name: Name
    token: Token | list[Token] = Field(repr=False)
    """Last part of the endpoint URL; a list while rotating."""
    flow: FunctionPath
    """The bot: module:function."""
    enabled: bool | Literal["draining"] = True
    eightxeight: EightXEight
    accept_conversation_active: bool = False
    verify_signatures: bool = True
    turn_timeout: float = Field(120.0, gt=0)
    """Seconds a turn may take, its steps included."""
    session_expiration: float = Field(1800.0, ge=0)
    """Seconds without user input that end a session; 0 = never."""
    locale: str | None = Field(None, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")
    """The users' locale, such as de-CH, where the channel tells none."""
    read_receipts: bool = False
    """Show the user that the bot has read what they wrote."""
    adaptive_card_version: CardVersion = "1.3"
    """What the channel's client knows of Adaptive Cards: a bot's newer card is its error."""
    on_error: OnError = OnError()
    handover: HandoverSettings = HandoverSettings()
    deliveries: DeliverySettings = DeliverySettings()
    dead_air: float = Field(60.0, ge=0)
    """Seconds after which a user's message without a reply or a human is an incident; 0 = never."""
    transformers: Transformers = Transformers()
    callers: Callers = Callers()

    @property
    def tokens(self) -> list[str]:
        """Every token that is valid now."""
        return self.token if isinstance(self.token, list) else [self.token]


class Alerts(Strict):
    """Where incidents are told, as small signed JSON. See docs/operations.md for how to verify it."""

    webhook: str
    """An https:// URL (or http://)."""
    secret: SecretStr
    """Signs what is posted; at least 16 characters."""
    kinds: list[str] | None = None
    """Kinds of incidents; all, unless set."""


class Endpoints(Strict):
    """The whole file."""

    endpoints: list[Endpoint] = Field(min_length=1)
    alerts: Alerts | None = None
    files: Files = Files()

    def by_name(self) -> dict[str, Endpoint]:
        """Endpoints by their name."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}
