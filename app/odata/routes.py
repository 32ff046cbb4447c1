"""The HTTP side of OData: who asks, for what, and the answer's headers."""

from __future__ import annotations

import base64
import binascii
import re
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import structlog
from litestar import Request, Response, Router, get, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.tokens import Reader, find_reader
from app.analytics.views import VIEWS
from app.odata.errors import ODataError, bad, not_allowed, not_implemented
from app.odata.metadata import csdl, service_document
from app.odata.options import PAGE, Options, read_options
from app.odata.paths import Path, read_path
from app.odata.reading import Reading

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]

PATH = "/odata/v1"
_JSON = "application/json;odata.metadata=minimal;charset=utf-8"
_HEADERS = {"odata-version": "4.0", "cache-control": "no-store", "x-content-type-options": "nosniff"}


class Unauthorized(ODataError):
    """Nobody we know."""

    def __init__(self) -> None:
        super().__init__(401, "Unauthorized", "A valid API token is needed, as Bearer or as Basic password")


def odata_router(engine: AsyncEngine, now: Callable[[], datetime], url: str | None) -> Router:
    """The routes below /odata/v1. `url` is where the admin port is reached; None: as the request says."""

    async def reading(request: AnyRequest) -> Reading:
        _check_version(request.headers.get("odata-maxversion", ""))
        token = _token(request.headers.get("authorization", ""))
        reader: Reader | None = None
        if token:
            reader = await find_reader(engine, token, scope="analytics", now=now())
        if reader is None:
            raise Unauthorized
        return Reading(engine, reader, _root(request, url))

    @get("/")
    async def service(request: AnyRequest) -> Response[bytes]:
        await reading(request)
        return _json(service_document(_root(request, url)))

    @get("/{path:path}")
    async def resource(request: AnyRequest, path: FromPath[str]) -> Response[bytes]:
        reads = await reading(request)
        if path.strip("/") == "$metadata":
            return Response(csdl(), media_type="application/xml", headers=_HEADERS)
        if path.strip("/") in ("$batch", "$all", "$crossjoin"):
            raise not_implemented(f"{path.strip('/')} is not offered")
        return await _resource(reads, request, read_path(path))

    @route(["/", "/{path:path}"], http_method=["POST", "PUT", "PATCH", "DELETE"], status_code=405)
    async def changing() -> None:
        raise not_allowed()

    return Router(
        path=PATH,
        route_handlers=[service, resource, changing],
        exception_handlers={
            ODataError: _odata_error,
            HTTPException: _http_error,
            DBAPIError: _database_error,
            PoolTimeout: _database_error,
            OSError: _database_error,
            Exception: _failure,
        },
    )


async def _resource(reads: Reading, request: AnyRequest, path: Path) -> Response[bytes]:
    given = {name: list(request.query_params.getall(name)) for name in request.query_params}
    parameters = [(name, value) for name, values in given.items() for value in values]
    view = path.view if path.link is None else VIEWS[path.link[1].view]
    options = read_options(view, given)
    within = None
    place = view.name
    if path.link is not None:
        assert path.key is not None
        name, link = path.link
        column = path.view.table.c[link.column]
        everything = Options(select=(link.column,), selected=True, order=((path.view.key[0], False),))
        parent = (await reads.entity(path.view, path.key, everything))[column.name]
        if not link.many:
            if parent is None:
                return Response(b"", status_code=204, headers=_HEADERS)
            return _json(await reads.entity(view, (parent,), options))
        within = view.table.c[link.column] == parent
        place = f"{path.view.name}({path.key[0]})/{name}"
    elif path.key is not None:
        return _json(await reads.entity(view, path.key, options))
    if path.count:
        number = await reads.count(view, options, within)
        return Response(str(number).encode(), media_type="text/plain", headers=_HEADERS)
    size, headers = _page(request.headers.get("prefer", ""))
    page = await reads.page(view, options, parameters, page=size, within=within, path=place)
    return _json(page, **headers)


def _page(prefer: str) -> tuple[int, dict[str, str]]:
    """Rows of a page: what the client prefers, up to ours; and the headers that say so."""
    match = re.search(r"((?:odata\.)?maxpagesize)\s*=\s*(\d{1,9})", prefer)
    if match is None:
        return PAGE, {}
    size = min(max(int(match[2]), 1), PAGE)
    return size, {"preference-applied": f"{match[1]}={size}", "vary": "prefer"}


def _check_version(most: str) -> None:
    """Raise ODataError for a client that understands only what came before version 4."""
    match = re.fullmatch(r"\s*(\d{1,3})\.\d{1,3}.*", most)
    if match is not None and int(match[1]) < 4:
        raise bad("OData-MaxVersion is below 4.0, the version that is offered")


def _token(header: str) -> str | None:
    """The token, sent as Bearer or as the password of Basic (all that Excel and Power BI can send)."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


def _root(request: AnyRequest, url: str | None) -> str:
    return f"{(url or str(request.base_url)).rstrip('/')}{PATH}/"


def _json(body: dict[str, Any], **headers: str) -> Response[bytes]:
    return Response(msgspec.json.encode(body), media_type=_JSON, headers={**_HEADERS, **headers})


def _error(status: int, code: str, message: str, **headers: str) -> Response[bytes]:
    content = msgspec.json.encode({"error": {"code": code, "message": message}})
    return Response(content, status_code=status, media_type=_JSON, headers={**_HEADERS, **headers})


def _odata_error(_: AnyRequest, error: ODataError) -> Response[bytes]:
    headers = {}
    if isinstance(error, Unauthorized):
        headers = {"www-authenticate": 'Basic realm="Parley", charset="UTF-8"'}
    elif error.status == 405:
        headers = {"allow": "GET"}
    return _error(error.status, error.code, str(error), **headers)


def _http_error(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    return _error(error.status_code, type(error).__name__.removesuffix("Exception"), error.detail)


def _database_error(_: AnyRequest, error: Exception) -> Response[bytes]:
    log.warning("odata_unavailable", error=type(error).__name__)
    return _error(503, "Unavailable", "The database does not answer now: try again")


def _failure(_: AnyRequest, error: Exception) -> Response[bytes]:
    # Where, but not the error's text: it could hold what somebody wrote.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("odata_failed", error=type(error).__name__, where=where)
    return _error(500, "InternalError", "Parley has made a mistake; its log says where")
