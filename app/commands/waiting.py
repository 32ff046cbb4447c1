"""Waiting until bots can answer, for what is started right after `parley up &`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

import httpx

from app.errors import ConfigurationError
from app.sandbox import calls
from app.sandbox.client import SandboxClient
from app.sandbox.schema import TenantView
from app.settings import Settings
from app.supervisor.ports import reachable
from app.tls import certificates

LOOK_EVERY = 0.2
_WORKERS = re.compile(r"^parley_workers_alive (\S+)$", re.M)


def for_sandbox(sandbox: SandboxClient, deadline: float) -> list[TenantView]:
    """The sandbox's tenants, once it answers. Raises httpx.HTTPError when it doesn't by then."""
    while True:
        try:
            return sandbox(calls.tenants()).tenants
        except httpx.HTTPError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(LOOK_EVERY)


def for_endpoints(sandbox: SandboxClient, tenants: Iterable[str], deadline: float) -> None:
    """Return once the webhooks of all these tenants answer. Raises ConfigurationError when one doesn't."""
    for tenant in tenants:
        while not (answer := sandbox(calls.verify(tenant))).verified:
            if time.monotonic() >= deadline:
                raise ConfigurationError(f"the endpoint of {tenant} does not answer: {answer.reason}")
            time.sleep(LOOK_EVERY)


def for_worker(settings: Settings, deadline: float) -> None:
    """Return once a worker is alive, by this machine's metrics; at once where those aren't to be had.

    Raises ConfigurationError when there is none.
    """
    host = reachable(settings.admin_host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.admin_port}/metrics"
    while _workers(url) == 0:
        if time.monotonic() >= deadline:
            raise ConfigurationError("no worker is there to answer: `parley up` or `parley work` runs one")
        time.sleep(LOOK_EVERY)


def _workers(url: str) -> float | None:
    """How many workers are alive; None where that is not known."""
    try:
        found = _WORKERS.search(httpx.get(url, verify=certificates(trust_env=False), trust_env=False).text)
    except httpx.HTTPError:
        return None
    return float(found[1]) if found else None
