"""The receiver's two Litestar applications: one for outsiders, one for operators."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from litestar import Litestar, MediaType, Request, Response, asgi, get
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from app.receiver.metrics import Metrics
from app.receiver.route import WebhookRoute
from app.receiver.tokens import Tokens
from app.receiver.webhook import Webhook

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]


def create_public_app(
    webhook: Webhook, tokens: Tokens, metrics: Metrics, *more: ControllerRouterHandler
) -> Litestar:
    """What outsiders call: the webhook, `/health` and `more`."""
    route = WebhookRoute(webhook, tokens, metrics)

    @asgi("/8x8", is_mount=True, copy_scope=False)
    async def receive(scope: Scope, receive: Receive, send: Send) -> None:
        await route(scope, receive, send)

    return _application([receive, health, *more])


@get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


def create_admin_app(
    ready: Callable[[], Awaitable[str | None]], metrics: Metrics, *more: ControllerRouterHandler
) -> Litestar:
    """What operators call. `ready` says what is missing, or None."""

    @get("/ready")
    async def readiness() -> Response[dict[str, str]]:
        missing = await ready()
        if missing is not None:
            return Response({"status": "not ready", "reason": missing}, status_code=503)
        return Response({"status": "ready"})

    @get("/metrics", media_type=MediaType.TEXT)
    async def exposition() -> Response[bytes]:
        await metrics.refresh()
        return Response(metrics.exposition(), headers={"content-type": metrics.content_type})

    return _application([readiness, exposition, health, *more])


def _application(handlers: Sequence[ControllerRouterHandler]) -> Litestar:
    return Litestar(
        route_handlers=handlers,
        openapi_config=None,
        logging_config=None,
        exception_handlers={HTTPException: _http_error, Exception: _failure},
    )


def _http_error(_: AnyRequest, error: HTTPException) -> Response[dict[str, str]]:
    return Response({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _failure(_: AnyRequest, error: Exception) -> Response[dict[str, str]]:
    # Where, but neither the error's text nor local variables: they could hold a user's text or a token.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("request_failed", error=type(error).__name__, where=where)
    return Response({"error": "Internal error"}, status_code=500)
