"""The console's routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from app.analytics.measures import Overview, overview
from app.console import interactions as kept
from app.console import reading, story
from app.console.access import Access, Forbidden, LoginNeeded, Viewer
from app.console.counting import Counting
from app.console.rendering import render
from app.console.static import asset, has_charts, vendor
from app.conversation.redrive import redrive
from app.database.refusals import is_unfit
from app.endpoints import Endpoints
from app.gateway.client import GatewayClient, RequestFailed

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]

#: Where a session keeps what the next page says.
_SAID = "said"

#: Spans of the overview: their length and the step of their charts.
SPANS = {
    "24h": (timedelta(days=1), "hour"),
    "7d": (timedelta(days=7), "hour"),
    "30d": (timedelta(days=30), "day"),
    "90d": (timedelta(days=90), "day"),
}


class Console:
    """The pages over one database."""

    def __init__(
        self,
        engine: AsyncEngine,
        access: Access,
        endpoints: Endpoints,
        gateway: GatewayClient,
        *,
        prefect_ui: str,
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._access = access
        self._endpoints = endpoints.by_name()
        self._gateway = gateway
        self._prefect_ui = prefect_ui
        self._now = now
        self._counting = Counting(engine, now)

    def replace(self, endpoints: Endpoints) -> None:
        """Know these endpoints from now on."""
        self._endpoints = endpoints.by_name()

    async def aclose(self) -> None:
        """End what goes on beside the pages."""
        await self._counting.aclose()

    def router(self) -> Router:
        """The routes below /console."""

        @get("/")
        async def home(request: AnyRequest) -> Response[bytes]:
            return await self._home(request)

        @get("/conversations")
        async def conversations(request: AnyRequest) -> Response[bytes]:
            return await self._conversations(request)

        @get("/conversations/{id:int}")
        async def conversation(request: AnyRequest, id: FromPath[int]) -> Response[bytes]:
            return await self._conversation(request, id)

        @post("/conversations/{id:int}/interactions")
        async def interactions(request: AnyRequest, id: FromPath[int]) -> Response[bytes]:
            return await self._interactions(request, id, await request.form())

        @get("/dead-letters")
        async def dead_letters(request: AnyRequest) -> Response[bytes]:
            return await self._dead_letters(request)

        @post("/dead-letters")
        async def redrive_letters(request: AnyRequest) -> Response[Any]:
            return await self._redrive(request, await request.form())

        @get("/login")
        async def login(request: AnyRequest) -> Response[bytes]:
            return render("login.html", csrf=self._access.csrf(request), wrong=False)

        @post("/login")
        async def log_in(request: AnyRequest) -> Response[Any]:
            data = await request.form()
            self._access.check(request, str(data.get("csrf", "")))
            if await self._access.log_in(request, str(data.get("password", ""))):
                return Redirect("/console", status_code=303)
            log.warning("console_login_failed", client=request.client.host if request.client else None)
            return render("login.html", 401, csrf=self._access.csrf(request), wrong=True)

        @post("/logout")
        async def log_out(request: AnyRequest) -> Response[Any]:
            data = await request.form()
            self._access.check(request, str(data.get("csrf", "")))
            request.clear_session()
            return Redirect("/console/login", status_code=303)

        return Router(
            path="/console",
            route_handlers=[
                home,
                conversations,
                conversation,
                interactions,
                dead_letters,
                redrive_letters,
                login,
                log_in,
                log_out,
                asset,
                vendor,
            ],
            middleware=[self._access.middleware()],
            exception_handlers={
                LoginNeeded: _login,
                Forbidden: _forbidden,
                HTTPException: _http_error,
                DBAPIError: _unavailable,
                PoolTimeout: _unavailable,
                OSError: _unavailable,
            },
        )

    # pages

    async def _home(self, request: AnyRequest) -> Response[bytes]:
        viewer = self._access.viewer(request)
        span = request.query_params.get("span", "7d")
        chosen = request.query_params.get("endpoint", "")
        length, step = SPANS.get(span, SPANS["7d"])
        allowed = _allowed(viewer, chosen)
        now = self._now()
        since = now - length
        if step == "day":  # whole days, or the first would look bad
            since = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await self._counting.refresh()
        measures = await overview(self._engine, since=since, until=now, step=step, endpoints=allowed)
        names, _ = await reading.choices(self._engine)
        return render(
            "overview.html",
            **self._frame(viewer, "overview"),
            measures=measures,
            has_charts=has_charts(),
            charts=json.dumps(_charts(measures)).replace("<", "\\u003c"),
            span=span if span in SPANS else "7d",
            spans=list(SPANS),
            endpoint=chosen,
            endpoints=[name for name in names if viewer.may_see(name)],
        )

    async def _conversations(self, request: AnyRequest) -> Response[bytes]:
        viewer = self._access.viewer(request)
        given = request.query_params
        search = reading.Search(
            q=given.get("q", "").strip()[:200],
            endpoint=given.get("endpoint", ""),
            channel=given.get("channel", ""),
            outcome=given.get("outcome", "") if given.get("outcome", "") in reading.OUTCOMES else "",
            since=_day(given.get("since", "")),
            until=_day(given.get("until", ""), after=True),
            before=_before(given.get("before", "")),
        )
        rows, more = await reading.sessions(self._engine, search, viewer.endpoints)
        endpoints, channels = await reading.choices(self._engine)
        return render(
            "conversations.html",
            **self._frame(viewer, "conversations"),
            rows=rows,
            more=more,
            given={
                name: given.get(name, "")
                for name in ("q", "endpoint", "channel", "outcome", "since", "until")
            },
            endpoints=[name for name in endpoints if viewer.may_see(name)],
            channels=channels,
            first=search.before is None,
        )

    async def _conversation(self, request: AnyRequest, id: int) -> Response[bytes]:
        viewer = self._access.viewer(request)
        number = _number(request.query_params.get("session", ""))
        found = await story.read_story(self._engine, id, number) if id < 2**63 else None
        if found is None or not viewer.may_see(found.conversation["endpoint"]):
            raise NotFoundException("There is no such conversation")
        return render("conversation.html", **self._frame(viewer, "conversations"), story=found)

    async def _interactions(self, request: AnyRequest, id: int, data: FormMultiDict) -> Response[bytes]:
        """8x8's interaction ids, asked for only when somebody wants them, and kept for the timeline."""
        viewer = self._access.viewer(request)
        self._access.check(request, str(data.get("csrf", "")))
        found = await story.read_story(self._engine, id, None) if id < 2**63 else None
        if found is None or not viewer.may_see(found.conversation["endpoint"]):
            raise NotFoundException("There is no such conversation")
        endpoint = self._endpoints.get(found.conversation["endpoint"])
        if endpoint is None:
            return render("interactions.html", interactions=None, reason="the endpoint is no longer set up")
        try:
            known = await self._gateway.interactions(endpoint, found.conversation["external_id"], timeout=8.0)
        except RequestFailed as error:
            return render("interactions.html", interactions=None, reason=str(error))
        await kept.keep(self._engine, id, known)
        return render("interactions.html", interactions=known, reason="")

    async def _dead_letters(self, request: AnyRequest) -> Response[bytes]:
        viewer = self._access.viewer(request)
        chosen = request.query_params.get("endpoint", "")
        rows = await reading.dead_letters(self._engine, _allowed(viewer, chosen))
        names, _ = await reading.choices(self._engine)
        return render(
            "dead_letters.html",
            **self._frame(viewer, "dead-letters"),
            rows=rows,
            done=request.session.pop(_SAID, ""),
            endpoint=chosen,
            endpoints=[name for name in names if viewer.may_see(name)],
        )

    async def _redrive(self, request: AnyRequest, data: FormMultiDict) -> Response[Any]:
        viewer = self._access.viewer(request)
        self._access.check(request, str(data.get("csrf", "")))
        if not viewer.acts:
            raise Forbidden
        ids = [number for text in data.getall("delivery", []) if (number := _number(str(text)))]
        if not ids:
            return _told(request, "Nothing was chosen.")
        result = await redrive(
            self._engine,
            ids=ids,
            may_duplicate=data.get("may_duplicate") == "yes",
            max_age={name: each.deliveries.max_age for name, each in self._endpoints.items()},
        )
        log.info("console_redrive", by=viewer.name, redriven=result.redriven)
        said = [f"{len(result.redriven)} will be sent again."]
        if result.in_doubt:
            said.append(f"{len(result.in_doubt)} may have arrived: they are sent again only if you say so.")
        if result.not_dead:
            said.append(f"{len(result.not_dead)} were no longer dead.")
        return _told(request, " ".join(said))

    def _frame(self, viewer: Viewer, here: str) -> dict[str, Any]:
        return {"viewer": viewer, "here": here, "prefect": self._prefect_ui}


def _told(request: AnyRequest, said: str) -> Response[Any]:
    """Back to the dead letters, where it is said once: a reload of that page sends nothing again."""
    request.session[_SAID] = said
    query = urlencode(
        {"endpoint": request.query_params["endpoint"]} if "endpoint" in request.query_params else {}
    )
    return Redirect(f"/console/dead-letters{'?' if query else ''}{query}", status_code=303)


def _allowed(viewer: Viewer, chosen: str) -> list[str] | None:
    """Endpoints to measure: the chosen one, else all that may be seen. One that may not gives nothing."""
    if chosen:
        return [chosen] if viewer.may_see(chosen) else ["\N{EM DASH}"]
    return None if viewer.endpoints is None else list(viewer.endpoints)


def _charts(measures: Overview) -> dict[str, Any]:
    """The series as columns, which is what the library draws."""
    points = measures.series
    return {
        "at": [point.at.timestamp() for point in points],
        **{
            name: [point.counts[name] for point in points]
            for name in (
                "sessions",
                "turns",
                "contained",
                "handovers",
                "deliveries_sent",
                "deliveries_dead",
                "retries",
            )
        },
        "p50": [point.p50 for point in points],
        "p95": [point.p95 for point in points],
    }


def _day(text: str, *, after: bool = False) -> datetime | None:
    """A day's beginning in UTC, or its end; None for what is no day."""
    try:
        day = date.fromisoformat(text)
        return datetime.combine(day, time(), UTC) + timedelta(days=1 if after else 0)
    except (ValueError, OverflowError):
        return None


def _before(text: str) -> tuple[datetime, int] | None:
    at, _, id = text.partition("~")
    number = _number(id)
    try:
        began = datetime.fromisoformat(at)
    except ValueError:
        return None
    return None if number is None or began.tzinfo is None else (began, number)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _login(request: AnyRequest, _: Exception) -> Response[Any]:
    return Redirect("/console/login", status_code=303)


def _forbidden(request: AnyRequest, _: Exception) -> Response[bytes]:
    return render(
        "error.html",
        403,
        title="Not allowed",
        text=(
            "The console is open to this machine alone until PARLEY_CONSOLE_PASSWORD is set; forms work from "
            "its own pages only."
        ),
    )


def _http_error(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    return render("error.html", error.status_code, title=f"{error.status_code}", text=error.detail)


def _unavailable(_: AnyRequest, error: Exception) -> Response[bytes]:
    if isinstance(error, DBAPIError) and is_unfit(error):
        text = "What the address asks for is no value that can be looked for."
        return render("error.html", 400, title="Not understood", text=text)
    log.warning("console_unavailable", error=type(error).__name__)
    return render("error.html", 503, title="Not now", text="The database does not answer in time. Try again.")
