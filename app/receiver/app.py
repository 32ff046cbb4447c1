"""The receiver's two Litestar applications: one for outsiders, one for operators."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from app.errors import EventRefused
from app.receiver.metrics import Metrics
from app.receiver.tokens import Tokens
from app.receiver.webhook import Webhook

log = structlog.get_logger()

#: Bytes of a webhook's body that are accepted, and seconds that it may take to come.
LARGEST = 1024 * 1024
SLOWEST = 10.0

AnyRequest = Request[Any, Any, Any]


def create_public_app(webhook: Webhook, tokens: Tokens, metrics: Metrics) -> Litestar:
    """What outsiders call: the webhook and `/health`."""

    @post("/8x8/{token:str}", status_code=200)
    async def receive(token: FromPath[str], request: AnyRequest) -> Response[dict[str, str]]:
        started = time.perf_counter()
        name = ""
        try:
            endpoint = tokens.endpoint(token)
            name = endpoint.name
            body = await _body(request)
            result = await webhook.receive(endpoint, _headers(request), body)
        except EventRefused as refusal:
            metrics.refused(name, refusal.status)
            log.warning("event_refused", endpoint=name or None, status=refusal.status, reason=str(refusal))
            return _refusal(refusal)
        finally:
            metrics.ack(time.perf_counter() - started)
        return Response({"result": result})

    return _application([receive, health])


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
        return Response(metrics.exposition(), headers={"content-type": metrics.content_type})

    return _application([readiness, exposition, health, *more])


def _application(handlers: Sequence[ControllerRouterHandler]) -> Litestar:
    return Litestar(
        route_handlers=handlers,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # counted while it comes, with an answer of our own
        exception_handlers={HTTPException: _http_error, Exception: _failure},
    )


async def _body(request: AnyRequest) -> bytes:
    """The whole body. Raises EventRefused: 413 as soon as it is too large, 408 when it takes too long."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > LARGEST:
        raise EventRefused(413, f"The body is larger than {LARGEST} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise EventRefused(413, f"The body is larger than {LARGEST} bytes")
    except TimeoutError:
        raise EventRefused(408, "The body took too long") from None
    except HTTPException:
        raise EventRefused(400, "The body broke off") from None
    return bytes(body)


def _headers(request: AnyRequest) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}


def _refusal(refusal: EventRefused) -> Response[dict[str, str]]:
    # What is left of a body nobody reads would otherwise be taken for the next request.
    headers = {"connection": "close"} if refusal.status in (408, 413) else {}
    return Response({"error": str(refusal)}, status_code=refusal.status, headers=headers)


def _http_error(_: AnyRequest, error: HTTPException) -> Response[dict[str, str]]:
    return Response({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _failure(_: AnyRequest, error: Exception) -> Response[dict[str, str]]:
    log.error("request_failed", error=type(error).__name__, exc_info=error)
    return Response({"error": "Internal error"}, status_code=500)
