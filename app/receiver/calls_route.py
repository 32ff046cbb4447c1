"""The two routes of services that call in, as Litestar handlers."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import structlog
from litestar import Request, Response, post
from litestar.types import ControllerRouterHandler

from app.errors import EventRefused
from app.receiver.called import Kind
from app.receiver.calls import LARGEST, Calls, Refused
from app.receiver.metrics import Metrics
from app.receiver.tokens import Tokens

log = structlog.get_logger()

#: Seconds that a body may take to come.
SLOWEST = 10.0

Answer = Response[dict[str, str | None]]


def call_routes(calls: Calls, tokens: Tokens, metrics: Metrics) -> list[ControllerRouterHandler]:
    """`POST /inject/{token}` and `POST /notify/{token}`."""

    async def answer(kind: Kind, request: Request[Any, Any, Any]) -> Answer:
        name = ""
        try:
            endpoint = tokens.endpoint(request.path_params["token"])
            name = endpoint.name
            try:
                async with asyncio.timeout(SLOWEST):
                    body = await request.body()
            except TimeoutError:
                raise EventRefused(408, "The body took too long") from None
            accepted = await calls.accept(kind, endpoint, dict(request.headers), body)
        except EventRefused as refusal:
            metrics.refused(name, refusal.status)
            log.warning("call_refused", endpoint=name or None, kind=kind, status=refusal.status)
            return Response({"error": str(refusal)}, status_code=refusal.status, headers=_headers(refusal))
        log.info("call_accepted", endpoint=name, kind=kind, request=accepted.event)
        result = "accepted" if accepted.event is not None else "dropped"
        return Response({"result": result, "event": accepted.event}, status_code=202)

    @post("/inject/{token:str}", status_code=202, request_max_body_size=LARGEST)
    async def inject(request: Request[Any, Any, Any]) -> Answer:
        return await answer("inject", request)

    @post("/notify/{token:str}", status_code=202, request_max_body_size=LARGEST)
    async def notify(request: Request[Any, Any, Any]) -> Answer:
        return await answer("notify", request)

    return [inject, notify]


def _headers(refusal: EventRefused) -> dict[str, str]:
    if refusal.status == 401:
        return {"www-authenticate": "Bearer"}
    if isinstance(refusal, Refused) and refusal.retry_after is not None:
        return {"retry-after": str(max(math.ceil(refusal.retry_after), 1))}
    return {}
