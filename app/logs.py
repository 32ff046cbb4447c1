"""Logging: structlog and the standard library through one door. JSON in production, readable on a terminal.

An entry is an event's name with fields; message text, tokens and keys never are among them.
"""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.errors import ConfigurationError
from app.sensitive import mask_log

#: Libraries whose INFO says nothing an operator wants, and whose request lines hold paths with tokens.
QUIET = ("httpx", "httpcore", "uvicorn.access", "asyncio", "websockets", "alembic", "aiosqlite", "apprise")


def set_up_logging(level: str = "INFO", form: str = "auto", *, part: str = "") -> None:
    """Send every log entry of this process to stderr.

    `form` is json, console, or auto: console on a terminal, else json. `part` (serve, work, …) goes into
    every entry. Raises ConfigurationError for a level or form that isn't one.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError("PARLEY_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    if form not in ("auto", "json", "console"):
        raise ConfigurationError("PARLEY_LOG_FORMAT must be auto, json or console")
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    shared = _shared(part)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(as_json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "litestar", "prefect"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def _shared(part: str) -> list[Processor]:
    def name_part(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if part:
            event.setdefault("part", part)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        name_part,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _last(as_json: bool) -> list[Any]:
    if as_json:
        return [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
            ),
            mask_log,
            structlog.processors.JSONRenderer(),
        ]
    return [
        _for_people,
        structlog.processors.format_exc_info,
        mask_log,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=20
        ),
    ]


def _for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """On a terminal a line has the local time of day and no module's name: it fits, and can be read."""
    event.pop("logger", None)
    if isinstance(at := event.get("timestamp"), str):
        event["timestamp"] = datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")
    return event
