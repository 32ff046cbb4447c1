"""In front of every REST call: the log, the API key, and the faults. A plain ASGI layer, to be lean."""

import asyncio
import time
from typing import cast

from litestar.enums import ScopeType
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPResponseStartEvent,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)

from app.sandbox.faults import AnswerLost, JwkError, JwkString, Outage, RequestCut, RestDelay, RestError
from app.sandbox.log import RestRecord
from app.sandbox.model import Tenant, now_ms
from app.sandbox.rest import problems
from app.sandbox.rest.problems import PROBLEM, Problem
from app.sandbox.rest.route import JWK, Route, route_of
from app.sandbox.signals import REST
from app.sandbox.world import World

TRANSPORT = "sandbox.transport"
"""Key in the ASGI scope under which the server gives the connection, so that it can be cut."""


class Answer:
    """A response, kept back until it is known whether it may leave."""

    def __init__(self, status: int = 500, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.status = status
        self.headers = headers or []
        self.body = bytearray()

    async def take(self, message: Message) -> None:
        """An ASGI `send` that keeps."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name, value) for name, value in message.get("headers", [])]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    @classmethod
    def of(cls, problem: Problem) -> "Answer":
        """The answer that tells of a problem."""
        body = problem.body()
        headers = {"content-type": PROBLEM, "content-length": str(len(body)), **problem.headers}
        answer = cls(problem.status, [(k.encode(), v.encode()) for k, v in headers.items()])
        answer.body += body
        return answer

    async def leave(self, send: Send) -> None:
        """Send it."""
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status,
            "headers": self.headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": False})


class Gate:
    """Wraps the application; calls that aren't 8x8's pass untouched."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        route = route_of(scope["method"], scope["path"])
        if route is None:
            await self._app(scope, receive, send)
        else:
            await self._pass(scope, route, receive, send)

    async def _pass(self, scope: HTTPScope, route: Route, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        record = self._record(scope, route)
        self._world.log.rest.append(record)
        body = await self._body(receive)
        answer: Answer | None
        if body is None:
            answer = Answer.of(problems.general(413, "The request is too big.", "too_big"))
        else:
            record.request_body = body[: self._world.config.limits.logged_body]
            answer = await self._answer(scope, body, route, record)
        record.duration_ms = (time.perf_counter() - started) * 1000
        if answer is not None:
            record.status = answer.status
            record.response_body = bytes(answer.body[: self._world.config.limits.logged_body])
        self._world.signals.wake(f"{REST}{record.seq}")
        if answer is None:
            await _cut(scope, receive)
            return
        await answer.leave(send)

    async def _answer(self, scope: HTTPScope, body: bytes, route: Route, record: RestRecord) -> Answer | None:
        """What to answer; None: cut the connection."""
        try:
            tenant = None if route.operation == JWK else self._tenant(scope)
        except Problem as problem:
            plain = (scope["method"], route.operation) not in problems.FORBIDDEN_AS_OBJECTS
            return Answer.of(problem if plain else problems.as_objects(problem, "forbidden"))
        record.tenant = tenant.id if tenant else None
        faults, where = self._world.faults, (route.conversation, record.tenant, route.operation)
        if outage := faults.take(Outage, *where):
            record.faults.append("outage")
            return None if outage.how == "drop" else Answer.of(problems.fault(503))
        if route.operation == JWK:
            return await self._jwk(scope, body, record)
        if delay := faults.take(RestDelay, *where):
            record.faults.append("rest_delay")
            await asyncio.sleep(delay.ms / 1000)
        if error := faults.take(RestError, *where):
            record.faults.append("rest_error")
            return Answer.of(problems.fault(error.status, error.retry_after))
        if faults.take(RequestCut, *where):
            record.faults.append("request_cut")
            return None
        scope["auth"] = tenant
        answer = await self._call(scope, body)
        lost = faults.take(AnswerLost, *where) if answer.status < 300 else None
        if lost is None:
            return answer
        record.faults.append("answer_lost")
        if lost.how == "504":
            return Answer.of(problems.fault(504))
        if lost.how == "hang":
            await asyncio.sleep(lost.hold_ms / 1000)
        return None

    async def _jwk(self, scope: HTTPScope, body: bytes, record: RestRecord) -> Answer:
        if error := self._world.faults.take(JwkError):
            record.faults.append("jwk_error")
            return Answer.of(problems.fault(error.status))
        scope["auth"] = self._world.faults.take(JwkString) is not None
        return await self._call(scope, body)

    async def _call(self, scope: HTTPScope, body: bytes) -> Answer:
        answer = Answer()
        given = False

        async def receive() -> HTTPReceiveMessage:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive, answer.take)
        return answer

    def _tenant(self, scope: HTTPScope) -> Tenant:
        """The tenant a call is for. Raises Problem: 401 without a good key, 403 for another's tenant."""
        headers = dict(scope["headers"])
        key = headers.get(b"x-api-key", b"").decode("latin-1")
        tenants = self._world.store.with_key(key) if key else []
        if not tenants:
            raise problems.unauthorized()
        customer = tenants[0].customer_id
        named = headers.get(b"x-8x8-tenant", b"").decode("latin-1")
        if not named:
            if len(tenants) > 1:
                raise problems.forbidden(f"Header X-8x8-Tenant is required for customerId={customer}")
            return tenants[0]
        for tenant in tenants:
            if tenant.id == named:
                return tenant
        raise problems.forbidden(
            f"Header X-8x8-Tenant doesn't match tenant information for customerId={customer}"
        )

    def _record(self, scope: HTTPScope, route: Route) -> RestRecord:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if "x-api-key" in headers:
            headers["x-api-key"] = "***"
        query = scope["query_string"].decode("latin-1")
        path = scope["path"] + (f"?{query}" if query else "")
        number = self._world.log.next_seq()
        return RestRecord(
            number,
            now_ms(),
            scope["method"],
            path,
            route.operation,
            route.conversation,
            None,
            headers,
            b"",
        )

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None when it is too big or the caller went away."""
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            return bytes(first.get("body", b""))
        parts, size, message = [], 0, first
        while message["type"] == "http.request":
            parts.append(bytes(message.get("body", b"")))
            size += len(parts[-1])
            if size > self._world.config.limits.request_bytes:
                return None
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
        return None


async def _cut(scope: HTTPScope, receive: Receive) -> None:
    """Cut the connection without an answer."""
    transport = cast(asyncio.Transport | None, scope.get(TRANSPORT))
    if transport is None:
        raise RuntimeError("only the sandbox's own server can cut a connection: see app.sandbox.server")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
