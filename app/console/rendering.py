"""Templates and the headers of pages: nothing inline, nothing from elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from litestar import Response

FOLDER = Path(__file__).parent

HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
}


def render(template: str, status: int = 200, **values: Any) -> Response[bytes]:
    """A page."""
    content = _environment.get_template(template).render(**values).encode()
    return Response(content, status_code=status, media_type="text/html; charset=utf-8", headers=HEADERS)


def seconds(value: float | None) -> str:
    """A duration as people read it."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def percent(value: float | None) -> str:
    """A share in percent; a tenth more where it is near the ends, which are only for nothing and all."""
    if value is None:
        return "–"
    if 0 < value < 0.1 or 0.9 < value < 1:
        return f"{min(max(value * 100, 0.1), 99.9):.1f} %"
    return f"{value * 100:.0f} %"


def number(value: float | None) -> str:
    """A count with thin spaces between thousands."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def counted(value: float, one: str, more: str) -> str:
    """A count with its word."""
    return f"{number(value)} {one if value == 1 else more}"


def moment(value: datetime | None) -> str:
    """A time in UTC; the page shows it in the reader's own zone."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(value: datetime | None) -> str:
    """A time for programs."""
    return "" if value is None else value.astimezone(UTC).isoformat()


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    seconds=seconds, percent=percent, number=number, counted=counted, moment=moment, iso=iso
)
