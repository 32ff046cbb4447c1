"""`parley sandbox play`: run scenarios against a bot and say whether they pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from app.commands import waiting
from app.commands.common import read_settings
from app.errors import ConfigurationError
from app.sandbox.client import SandboxClient
from app.sandbox.scenario import report
from app.sandbox.scenario.player import Played, play
from app.sandbox.scenario.reading import ScenarioError, read
from app.sandbox.schema import TenantView


def run(
    files: Sequence[Path], *, endpoint: str | None, url: str | None, junit: Path | None, wait: float
) -> int:
    """Play each file in turn and print how it went. Returns 0 when all pass, 1 when one fails.

    Raises ConfigurationError for files that are wrong, an endpoint that is none of the sandbox's, and when
    `wait` seconds (where there are any) don't bring sandbox, endpoints and a worker of this machine.
    """
    settings = read_settings()
    base_url = url or f"http://127.0.0.1:{settings.sandbox_port}"
    deadline = time.monotonic() + wait
    try:
        scenarios = [read(path) for path in files]
    except ScenarioError as error:
        raise ConfigurationError(str(error)) from error
    all_played: list[Played] = []
    with SandboxClient(base_url) as sandbox:
        try:
            tenants = waiting.for_sandbox(sandbox, deadline)
            chosen = [_tenant(tenants, endpoint or each.scenario.endpoint) for each in scenarios]
            if wait:
                waiting.for_endpoints(sandbox, dict.fromkeys(chosen), deadline)
                if url is None:
                    waiting.for_worker(settings, deadline)
            for each, tenant in zip(scenarios, chosen, strict=True):
                all_played.append(play(sandbox, each, tenant))
                print("\n".join(report.lines(all_played[-1])), flush=True)  # noqa: T201
        except httpx.HTTPError as error:
            raise ConfigurationError(f"no sandbox answers at {base_url}: {type(error).__name__}") from error
    print(report.summary(all_played))  # noqa: T201
    if junit is not None:
        report.write_junit(junit, all_played)
    return 1 if any(played.failure for played in all_played) else 0


def _tenant(tenants: list[TenantView], name: str | None) -> str:
    """The tenant of an endpoint, by the endpoint's name or the tenant's id; the first where none is named."""
    for each in tenants:
        if name in (None, each.label, each.tenant):
            return each.tenant
    known = ", ".join(each.label for each in tenants) or "none"
    raise ConfigurationError(f"the sandbox has no endpoint {name}; it has: {known}")
