"""What endpoints.yaml says about functions beside the bot, and about the services that may call in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.endpoints_base import FunctionPath, Strict

TokenHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


#: What a transformer may be for.
KINDS = ("input", "output", "execution_finished", "inject", "notify")


class Transformers(Strict):
    """Functions, as module:function, that change what passes between endpoint and bot."""

    input: FunctionPath | None = None
    """Changes or drops what the user sent, before the bot."""
    output: FunctionPath | None = None
    """Changes or drops each output of the bot, as it is rendered for 8x8."""
    execution_finished: FunctionPath | None = None
    """Replaces all outputs of a turn; they wait for the turn's end."""
    inject: FunctionPath | None = None
    """Makes an input for the bot of what a service posted to /inject."""
    notify: FunctionPath | None = None
    """Makes a message to the user of what a service posted to /notify."""
    abort_on_error: bool = False
    """Where one fails, what it was given is dropped; else it passes on unchanged."""
    timeout: float = Field(5.0, gt=0, le=60)
    """Seconds each call may take."""

    def named(self) -> dict[str, str]:
        """Those that are switched on: kind and module:function."""
        return {kind: path for kind in KINDS if (path := getattr(self, kind)) is not None}


class Callers(Strict):
    """Services that may post to /inject and /notify."""

    tokens: list[TokenHash] = Field(default_factory=list, repr=False)
    """Hashes of their bearer tokens, as `parley token new` prints them."""
    rate: float = Field(10.0, gt=0)
    """Requests a second, over all callers of the endpoint."""
    burst: int = Field(20, ge=1)
    """Requests at once."""


class Rate(Strict):
    """How fast 8x8 may be called with one API key. A 429 halves the pace, which then recovers."""

    per_second: float = Field(gt=0)
    burst: int = Field(10, ge=1)
