"""Serve the page. Nothing on it comes from the internet but the images that a bot's cards name."""

from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

FOLDER = Path(__file__).parent
VENDOR = FOLDER / "node_modules" / "adaptivecards" / "dist"
"""Where `make page` puts the library that draws adaptive cards. It may be missing: the page says so."""

VENDOR_FILES = ("adaptivecards.min.js",)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data: blob: https: http://127.0.0.1:* http://localhost:*",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@get("/", include_in_schema=False)
async def index() -> Response[bytes]:
    """The page."""
    return _answer(FOLDER / "index.html")


@get("/page/{name:str}", include_in_schema=False)
async def asset(name: FromPath[str]) -> Response[bytes]:
    """A module, a style sheet or the icon."""
    known = {path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}
    return _answer(known.get(name))


@get("/page/vendor/{name:str}", include_in_schema=False)
async def vendor(name: FromPath[str]) -> Response[bytes]:
    """A file of somebody else's that the page uses."""
    return _answer(VENDOR / name if name in VENDOR_FILES else None)


def _answer(path: Path | None) -> Response[bytes]:
    if path is None or not path.is_file():
        raise NotFoundException("there is no such file; `make page` installs what is not Parley's own")
    return Response(path.read_bytes(), media_type=f"{TYPES[path.suffix]}; charset=utf-8", headers=HEADERS)


HANDLERS = [index, asset, vendor]
