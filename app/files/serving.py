"""`GET /files/{number}`: a stored file for whoever has its signed URL.

What users send is not to be trusted: a browser saves it instead of showing it, but for pictures of four
harmless kinds; it never guesses a type, and runs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from mimetypes import guess_extension
from typing import Any
from urllib.parse import quote

import structlog
from litestar import HttpMethod, Request, Response, route
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from app.errors import ConfigurationError
from app.files.flights import Busy, Flights
from app.files.images import FORMATS, NotResizable, Wanted
from app.files.links import Links
from app.files.resizing import Copy, NotInTime, resize_apart
from app.files.sealed import SEALED
from app.files.store import FileStore, NoSuchFile, StorageFailed, smaller_folder

log = structlog.get_logger(__name__)

#: Largest image that is resized, in bytes; images resized at a time, and those that may wait for it.
_LARGEST_IMAGE = 64 * 1024 * 1024
_AT_ONCE, _WAITING = 2, 16
_LONGEST_SIDE = 20_000
_LONGEST_NAME, _LONGEST_ENDING = 200, 20
#: Types that a browser could run. It is told to save them, and not even what they are.
_ACTIVE = ("html", "xml", "svg", "javascript", "ecmascript", "flash", "mhtml")

_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}

AnyRequest = Request[Any, Any, Any]
Answer = Response[bytes] | Response[dict[str, str]] | Stream


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the database knows of a stored file."""

    key: str
    name: str | None
    type: str | None
    size: int


class Refusal(Exception):
    """The request isn't answered with a file."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FileServer:
    """Answers requests. `find` gives the stored file with a number, or None."""

    def __init__(
        self,
        store: FileStore,
        links: Links,
        find: Callable[[str], Awaitable[StoredFile | None]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._links = links
        self._find = find
        self._now = now
        self._resizing: Flights[Copy | None] = Flights(_AT_ONCE, _WAITING)

    def close(self) -> None:
        """Let go of what is being resized."""
        self._resizing.close()

    async def answer(self, request: AnyRequest) -> Answer:
        """The file, or why not."""
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return Response({"error": str(refusal)}, status_code=refusal.status, headers=_HEADERS)
        except NoSuchFile:
            return Response({"error": "There is no such file"}, status_code=404, headers=_HEADERS)
        except (StorageFailed, ConfigurationError) as error:
            log.error("file_not_served", error=str(error))
            return Response({"error": "The file can't be had now"}, status_code=503, headers=_HEADERS)

    async def _answer(self, request: AnyRequest) -> Answer:
        number, query = str(request.path_params["number"]), request.query_params
        if not self._links.opens(number, query.get("expires"), query.get("signature"), self._now()):
            raise Refusal(403, "The URL has expired, or was changed")
        wanted = _wanted(query)
        file = await self._find(number)
        if file is None:
            raise NoSuchFile
        if wanted and file.type in FORMATS:
            smaller = await self._smaller(number, file, wanted)
            if smaller is not None:
                content, media_type = smaller
                headers = _headers(file.name, media_type, len(content))
                return Response(b"" if request.method == "HEAD" else content, headers=headers)
        headers = _headers(file.name, file.type, file.size)
        if request.method == "HEAD":
            return Response(b"", headers=headers)
        pieces = self._store.stream(file.key)
        first = await anext(pieces, b"")  # whether it is there is known before the answer begins
        return Stream(_from(first, pieces), headers=headers)

    async def _smaller(self, number: str, file: StoredFile, wanted: Wanted) -> Copy | None:
        """The image's smaller copy, made once; None where it is small enough."""
        if file.size > _LARGEST_IMAGE:
            raise Refusal(422, "The image is too large to be resized")
        kind = "jpeg" if file.type == "image/jpeg" else "webp" if file.type == "image/webp" else "png"
        sealed = SEALED if file.key.endswith(SEALED) else ""
        key = f"{smaller_folder(file.key)}/{wanted.name}{sealed}"
        try:
            return await self._store.get(key), f"image/{kind}"
        except NoSuchFile:
            pass
        try:
            return await self._resizing.join(key, lambda: self._make(number, file, wanted, key))
        except NotResizable as error:
            raise Refusal(422, str(error)) from None
        except Busy:
            raise Refusal(503, "Too many images are being resized") from None
        except NotInTime as error:
            raise Refusal(503, str(error)) from None

    async def _make(self, number: str, file: StoredFile, wanted: Wanted, key: str) -> Copy | None:
        made = await resize_apart(self._store.stream(file.key), wanted)
        if made is not None:
            await self._store.put(key, made[0])
            if await self._find(number) is None:  # deleted meanwhile: the copy must go as well
                await self._store.delete([key])
                raise NoSuchFile
        return made


def file_routes(server: FileServer) -> list[ControllerRouterHandler]:
    """`GET` and `HEAD /files/{number}`."""

    @route("/files/{number:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def files(request: AnyRequest) -> Answer:
        return await server.answer(request)

    return [files]


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _wanted(query: Any) -> Wanted:
    """maxWidth, maxHeight and maxFileSizeInBytes. Raises Refusal."""

    def number(name: str, most: int) -> int | None:
        text = query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) <= most:
            raise Refusal(400, f"{name} must be a number from 1 to {most}")
        return int(text)

    return Wanted(
        number("maxWidth", _LONGEST_SIDE),
        number("maxHeight", _LONGEST_SIDE),
        number("maxFileSizeInBytes", _LARGEST_IMAGE),
    )


def _headers(name: str | None, media_type: str | None, size: int) -> dict[str, str]:
    name = _name(name, media_type)
    shown = media_type in FORMATS
    media_type = media_type or "application/octet-stream"
    if any(active in media_type for active in _ACTIVE):
        media_type = "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    return {
        **_HEADERS,
        "content-type": media_type,
        "content-length": str(size),
        "content-disposition": _disposition("inline" if shown else "attachment", name),
        "cache-control": "private, max-age=300",
    }


def _name(name: str | None, media_type: str | None) -> str:
    """What it is saved as: its own name, cut to 200 characters but for its ending; else one by its type."""
    name = "".join(char for char in name or "" if char.isprintable() and char not in '/\\"')
    if not name:
        return "file" + (guess_extension(media_type or "") or "")
    stem, dot, ending = name.rpartition(".")
    if len(name) <= _LONGEST_NAME or not stem or len(ending) > _LONGEST_ENDING:
        return name[:_LONGEST_NAME]
    return stem[: _LONGEST_NAME - len(ending) - 1] + dot + ending


def _disposition(how: str, name: str) -> str:
    """RFC 6266: a name in ASCII for old clients, and the name itself."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
