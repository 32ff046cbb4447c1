"""The sandbox as an ASGI application."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import structlog
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from app.loopback import is_loopback, names_loopback
from app.sandbox.config import SandboxConfig
from app.sandbox.control import admin, again, agent, conversations, faults, logs, raw, stream, user
from app.sandbox.desk import NotPossible
from app.sandbox.page import handlers as page
from app.sandbox.rest import attachments, indicators, jwk, messages, registry
from app.sandbox.rest import conversations as rest_conversations
from app.sandbox.rest.common import answer_problem
from app.sandbox.rest.gate import Gate
from app.sandbox.rest.problems import Problem, general, not_found
from app.sandbox.rest.route import route_of
from app.sandbox.world import World

logger = structlog.get_logger("sandbox")
AnyRequest = Request[object, object, State]

_CODES = {400: "bad_request", 404: "resource_not_found", 405: "method_not_allowed", 413: "too_big"}
_GATEWAY = [
    *messages.HANDLERS,
    *rest_conversations.HANDLERS,
    *indicators.HANDLERS,
    *attachments.HANDLERS,
    *registry.HANDLERS,
    *jwk.HANDLERS,
]
_CONTROL = [
    *admin.HANDLERS,
    *again.HANDLERS,
    *agent.HANDLERS,
    *conversations.HANDLERS,
    *faults.HANDLERS,
    *logs.HANDLERS,
    *raw.HANDLERS,
    *stream.HANDLERS,
    *user.HANDLERS,
]


def create_app(
    config: SandboxConfig, beside: Callable[[World], AbstractAsyncContextManager[None]] | None = None
) -> Gate:
    """The application: 8x8's REST interface, the control API under /sandbox/api, and the page at /.

    Cutting connections (faults `drop`, `hang`, `request_cut`) needs `app.sandbox.server`; everything
    else works under any ASGI server. One event loop per application. `beside` is entered in it for as long
    as the application runs.
    """
    world = World(config)
    for handler in _GATEWAY:
        handler.include_in_schema = False
    litestar = Litestar(
        route_handlers=[*_GATEWAY, *_CONTROL, *page.HANDLERS],
        dependencies={"world": Provide(lambda: world, sync_to_thread=False, use_cache=True)},
        exception_handlers={
            Problem: answer_problem,
            NotPossible: _not_possible,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
        before_request=_own_pages_only(config.host),
        on_shutdown=[world.close],
        lifespan=[lambda _: beside(world)] if beside is not None else [],
        openapi_config=OpenAPIConfig(
            title="Parley's sandbox",
            version="1",
            path="/sandbox/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        request_max_body_size=config.limits.request_bytes,
        logging_config=None,
    )
    return Gate(litestar, world)


def _own_pages_only(listens_on: str) -> Callable[[AnyRequest], Awaitable[None]]:
    """Refuse other sites' pages: the control API has no key and listens on the user's own machine.

    Nor may they reach it by a name of theirs that leads here, where Origin and Host are the same.
    """

    async def check(request: AnyRequest) -> None:
        origin, host = request.headers.get("origin"), request.headers.get("host")
        if origin is not None and urlsplit(origin).netloc != host:
            raise PermissionDeniedException("requests from other sites are refused")
        if is_loopback(listens_on) and not names_loopback(host):
            raise PermissionDeniedException("the sandbox is asked by a name that is not this machine's")

    return check


def _not_possible(_: AnyRequest, error: NotPossible) -> Response[dict[str, object]]:
    return Response({"detail": str(error), "status_code": 409}, status_code=409)


def _http_error(request: AnyRequest, error: HTTPException) -> Response[bytes] | Response[dict[str, object]]:
    """Litestar's own refusals; in 8x8's shape on 8x8's paths."""
    if route_of(request.method, request.scope["path"]) is None:
        content = {"status_code": error.status_code, "detail": error.detail, "extra": error.extra}
        return Response(content, status_code=error.status_code, headers=error.headers)
    if error.status_code == 404:
        return answer_problem(request, not_found("Resource", request.scope["path"]))
    code = _CODES.get(error.status_code, "error")
    problem = general(error.status_code, error.detail, code)
    problem.headers.update(error.headers or {})
    return answer_problem(request, problem)


def _unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    """A mistake of the sandbox itself: named in its log."""
    logger.error("sandbox_failed", path=request.scope["path"], exc_info=error)
    return answer_problem(request, general(500, "Internal error.", "internal_error"))
