"""Scripts, styles and the library that draws charts."""

from __future__ import annotations

from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from app.console.rendering import FOLDER, HEADERS

STATIC = FOLDER / "static"
VENDOR = STATIC / "node_modules" / "uplot" / "dist"
"""Where `make page` puts the library that draws charts. It may be missing: tables say the same."""

VENDOR_FILES = {"uPlot.esm.js": "text/javascript", "uPlot.min.css": "text/css"}
FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "charts.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def has_charts() -> bool:
    """Whether the library that draws charts is there."""
    return all((VENDOR / name).is_file() for name in VENDOR_FILES)


@get("/static/{name:str}")
async def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of ours."""
    return _answer(STATIC / name, FILES.get(name))


@get("/vendor/{name:str}")
async def vendor(name: FromPath[str]) -> Response[bytes]:
    """A file of somebody else's that pages use."""
    return _answer(VENDOR / name, VENDOR_FILES.get(name))


def _answer(path: Path, kind: str | None) -> Response[bytes]:
    if kind is None or not path.is_file():
        raise NotFoundException("There is no such file; `make page` installs what is not Parley's own")
    headers = {**HEADERS, "cache-control": "no-cache"}
    return Response(path.read_bytes(), media_type=f"{kind}; charset=utf-8", headers=headers)
