"""`parley endpoints mode`: the red button."""

from __future__ import annotations

from app.commands.common import read_endpoints_file, read_settings
from app.commands.database import with_database
from app.conversation.modes import MODES, Mode, set_mode
from app.errors import ConfigurationError


def run(name: str, mode: str) -> None:
    """Set an endpoint's mode: every worker keeps to it within a second. Raises ConfigurationError."""
    settings = read_settings()
    endpoint = read_endpoints_file(settings).by_name().get(name)
    if endpoint is None:
        raise ConfigurationError(f"{settings.endpoints} has no endpoint {name}")
    wanted: Mode | None = next((each for each in MODES if each == mode), None)
    if wanted is None:
        raise ConfigurationError(f"the mode must be one of {', '.join(MODES)}")
    if wanted == "to_queue" and endpoint.handover.queue is None:
        raise ConfigurationError(f"endpoint {name} has no handover.queue: there is nowhere to hand over to")
    before = with_database(settings, lambda engine: set_mode(engine, name, wanted))
    print(f"{name}: {wanted} (was {before})")  # noqa: T201
