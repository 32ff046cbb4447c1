"""`mask_sensitive_logging`: what is masked is masked last, just before a line is written."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from app.logs import _last, set_up_logging
from app.sensitive import Sensitive, guard, mask_log

SECRET = "zanzibar-secret"


@pytest.fixture
def guarded() -> Iterator[None]:
    sensitive = Sensitive()
    sensitive.add([SECRET])
    guard(sensitive)
    yield
    guard(None)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], io.StringIO]]:
    """Sets up logging in a form; what is written."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def begin(form: str) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        set_up_logging("DEBUG", form, part="work")
        return stream

    yield begin
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.mark.parametrize("as_json", [True, False])
def test_nothing_comes_between_the_mask_and_the_output(as_json: bool) -> None:
    assert _last(as_json)[-2] is mask_log


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_way_to_log_it_gets_past(lines: Callable[[str], io.StringIO], guarded: None, form: str) -> None:
    written = lines(form)
    library, own = logging.getLogger("a.library"), structlog.get_logger("our.own")
    library.warning("said %s and %r", SECRET, {"deep": [SECRET]})
    library.info(f"as text {SECRET}")
    own.info(
        f"event {SECRET}", text=SECRET, data={"a": [SECRET]}, thing=Exception(SECRET), raw=SECRET.encode()
    )
    structlog.contextvars.bind_contextvars(bound=SECRET)
    own.debug("bound")
    structlog.contextvars.clear_contextvars()
    for fail in (library.exception, own.exception):
        try:
            raise ValueError(SECRET) from KeyError(SECRET)
        except ValueError:
            fail("failed")
    assert written.getvalue().count("\n") >= 6
    assert SECRET not in written.getvalue()
    assert written.getvalue().count("***") >= 10


def test_without_the_setting_lines_stay_as_they_are(lines: Callable[[str], io.StringIO]) -> None:
    written = lines("json")
    structlog.get_logger("our.own").info("event", text=SECRET)
    assert SECRET in written.getvalue()
