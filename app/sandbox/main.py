"""Runs the sandbox: what `parley sandbox` calls."""

import logging
import sys
from pathlib import Path

import structlog

from app.sandbox.app import create_app
from app.sandbox.config import ANY_CHANNEL, SandboxConfig, TenantConfig
from app.sandbox.server import listen, make_server


def run(
    *,
    host: str,
    port: int,
    api_key: str,
    tenant: str,
    webhook_url: str | None,
    data: Path | None,
    log_level: str,
) -> None:
    """Serve a sandbox with one tenant until SIGINT or SIGTERM.

    `webhook_url` gets the events of every channel (None: they go nowhere until one is set over REST or
    the control API); `data` is the folder that keeps the signing key. Raises OSError when the port is
    taken, ValueError for an empty key or tenant.
    """
    if not api_key or not tenant:
        raise ValueError("the sandbox needs an API key and a tenant")
    level = logging.getLevelNamesMapping()[log_level.upper()]
    logging.basicConfig(level=level, stream=sys.stderr)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    webhooks = {ANY_CHANNEL: webhook_url} if webhook_url else {}
    config = SandboxConfig(
        tenants=[TenantConfig(tenant, api_key, webhooks=webhooks)],
        base_url=f"http://{f'[{host}]' if ':' in host else host}:{port}",
        host=host,
        data=data,
    )
    listening = listen(host, port)
    make_server(create_app(config), log_level=log_level.lower()).run([listening])
