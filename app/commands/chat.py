"""`parley chat`: play the user in a terminal."""

from __future__ import annotations

from app.commands.common import is_sandbox, read_endpoints_file, read_settings
from app.errors import ConfigurationError


def run(*, endpoint: str | None) -> int:
    """Talk through the sandbox to a bot: of the endpoint named, else of the first; the exit code."""
    settings = read_settings()
    endpoints = [each for each in read_endpoints_file(settings).endpoints if is_sandbox(each, settings)]
    chosen = next((each for each in endpoints if endpoint in (None, each.name)), None)
    if chosen is None:
        names = ", ".join(each.name for each in endpoints) or "none"
        raise ConfigurationError(f"no such endpoint talks to the sandbox; those that do: {names}")

    from app.sandbox.chat import chat

    tenant = chosen.eightxeight.tenant or f"sandbox-{chosen.name}"
    return chat(base_url=f"http://127.0.0.1:{settings.sandbox_port}", tenant=tenant)
