"""A scenario file's shape. Every step is an object with one key, which says what happens."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from app.sandbox.schema import Channel

Seconds = Annotated[float, Field(ge=0, le=600)]
JsonObject = dict[str, Any]


class Part(BaseModel):
    """A part of a file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class BotSays(Part):
    """The bot's next message, in order. A plain string stands for `text`; everything given must hold.

    `text` exactly, `contains` one or several parts, `matches` a regular expression found in it,
    `quick_replies` all titles in order, `card` a part of an adaptive card (objects may hold more, lists are
    compared whole), `files` the names of all files in order. `within` seconds, else the scenario's
    `patience`.
    """

    text: str | None = None
    contains: str | list[str] | None = None
    matches: str | None = None
    quick_replies: list[str] | None = None
    card: JsonObject | None = None
    files: list[str] | None = None
    within: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @field_validator("matches")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @property
    def parts(self) -> list[str]:
        """`contains` as a list."""
        return [self.contains] if isinstance(self.contains, str) else self.contains or []


class Handover(Part):
    """The conversation waits in a queue, its user has these additional properties (others may be there)."""

    queue: str | None = None
    properties: dict[str, str] = {}
    within: Seconds | None = None


class Click(Part):
    """A quick reply that is clicked though it may not be offered."""

    title: str
    payload: Any = None


class File(Part):
    """A file: its text as it is, or the path of one, beside the scenario's file."""

    name: str
    content: str | None = None
    path: str | None = None
    type: str | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "File":
        if (self.content is None) == (self.path is None):
            raise ValueError("a file needs either content or path")
        return self


class Transfer(Part):
    """The agent's transfer; whether `left` or TRANSFER is told first isn't documented."""

    queue: str
    order: Literal["left_first", "transfer_first"] = "left_first"

    @model_validator(mode="before")
    @classmethod
    def _from_queue(cls, value: Any) -> Any:
        return {"queue": value} if isinstance(value, str) else value


class User(Part):
    """The user writes."""

    user: str


class UserClicks(Part):
    """The user clicks a quick reply: one of the newest offered, by title, or any."""

    click: str | Click


class UserSubmits(Part):
    """The user submits the newest card with this data."""

    submit: JsonObject


class UserSendsFile(Part):
    """The user sends a file."""

    file: File


class Activity(Part):
    """Any ACTIVITY event: a choice on WhatsApp, for instance."""

    name: str
    value: Any = None


class UserActs(Part):
    """The user does something else that 8x8 reports as an ACTIVITY."""

    activity: Activity


class UserLeaves(Part):
    """The user leaves."""

    user_leaves: Literal[True]


class ExpectBot(Part):
    """The bot's next message."""

    bot: BotSays


class ExpectNothing(Part):
    """The bot says nothing for so many seconds."""

    nothing: Seconds


class ExpectHandover(Part):
    """The conversation is handed over."""

    handover: Handover


class AgentJoins(Part):
    """An agent of this name accepts the conversation."""

    agent_joins: str


class AgentSays(Part):
    """The agent writes."""

    agent: str


class AgentTransfers(Part):
    """The agent moves the conversation to another queue."""

    agent_transfers: Transfer


class AgentLeaves(Part):
    """The agent is done."""

    agent_leaves: Literal[True]


class Wait(Part):
    """Nothing happens for so many seconds, whatever the bot does."""

    wait: Seconds


_STEPS = (
    User,
    UserClicks,
    UserSubmits,
    UserSendsFile,
    UserActs,
    UserLeaves,
    ExpectBot,
    ExpectNothing,
    ExpectHandover,
    AgentJoins,
    AgentSays,
    AgentTransfers,
    AgentLeaves,
    Wait,
)
KEYS = tuple(next(iter(step.model_fields)) for step in _STEPS)
"""What a step can be."""


def _key_of(value: Any) -> str | None:
    keys = list(value) if isinstance(value, dict) else list(getattr(value, "model_fields_set", ()))
    return keys[0] if len(keys) == 1 and keys[0] in KEYS else None


Step = Annotated[
    Annotated[User, Tag("user")]
    | Annotated[UserClicks, Tag("click")]
    | Annotated[UserSubmits, Tag("submit")]
    | Annotated[UserSendsFile, Tag("file")]
    | Annotated[UserActs, Tag("activity")]
    | Annotated[UserLeaves, Tag("user_leaves")]
    | Annotated[ExpectBot, Tag("bot")]
    | Annotated[ExpectNothing, Tag("nothing")]
    | Annotated[ExpectHandover, Tag("handover")]
    | Annotated[AgentJoins, Tag("agent_joins")]
    | Annotated[AgentSays, Tag("agent")]
    | Annotated[AgentTransfers, Tag("agent_transfers")]
    | Annotated[AgentLeaves, Tag("agent_leaves")]
    | Annotated[Wait, Tag("wait")],
    Discriminator(
        _key_of,
        custom_error_type="step",
        custom_error_message=f"a step has exactly one of the keys {', '.join(KEYS)}",
    ),
]
"""One step."""


class Scenario(Part):
    """A scripted conversation. `endpoint` names whose bot it is for; `--endpoint` wins."""

    name: str = ""
    endpoint: str | None = None
    channel: Channel = "WebChat"
    user: JsonObject = {}
    patience: Seconds = 10.0
    steps: Annotated[list[Step], Field(min_length=1)]
