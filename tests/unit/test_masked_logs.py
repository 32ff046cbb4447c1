"""`mask_sensitive_logging`: what is masked is masked last, just before a line is written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
import structlog

from app.logs import _last, set_up_logging
from app.sensitive import LARGEST, MOST, Sensitive, guard, guarding, mask_log

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


LINES = "zanzibar first line\nand 'a \"second\" löng one'\tmore"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_form_of_a_value_gets_past(lines: Callable[[str], io.StringIO], guarded: None, form: str) -> None:
    sensitive = guarding()
    assert sensitive is not None
    sensitive.add([LINES, "It is 47114711, call +41 79 123 45 67 or ann@example.com!", "café & more?"])
    written = lines(form)
    library, own = logging.getLogger("a.library"), structlog.get_logger("our.own")
    library.warning("%r and %s", LINES, json.dumps(LINES))
    library.warning(json.dumps({"text": LINES}, ensure_ascii=False))
    own.info("lines", first=LINES.splitlines()[0], other=[LINES.splitlines()[1]])
    own.info("numbers", n=47114711, deep={"n": [47114711, -47114711]}, phone="0041791234567", ok=12)
    own.info("keys", data={SECRET: 1, "deep": [{LINES: 2}], 47114711: 3})
    own.info(
        "objects",
        deep=[Exception(SECRET), SECRET.encode(), {SECRET}, LINES.encode()],
        uri=quote("café & more?"),
    )
    own.info("words", mail="to Ann@Example.com", query=quote_plus("café & more?"))
    for value in (KeyError(LINES), ValueError(LINES)):
        try:
            raise value
        except (KeyError, ValueError):
            own.exception("failed")
    said = written.getvalue()
    assert said.count("***") >= 15 and ('"ok": 12' in said or "ok=12" in said)
    for hint in ("zanzibar", "second", "47114711", "791234567", "example.com", "caf", "more?"):
        assert hint not in said.lower(), hint


@pytest.mark.parametrize(
    "values",
    [
        [f"value-{number}" for number in range(MOST + 1)],
        [f"{number:03}" * 3_400 for number in range(LARGEST // 10_000)],
    ],
    ids=["many", "long"],
)
def test_past_the_most_that_is_remembered_whole_lines_are_masked(
    lines: Callable[[str], io.StringIO], guarded: None, values: list[str]
) -> None:
    sensitive = guarding()
    assert sensitive is not None
    sensitive.add(values)
    written = lines("json")
    structlog.get_logger("our.own").info("something", text=SECRET, deep=[{"value-1": "value-0"}], ok=True)
    line = json.loads(written.getvalue())
    assert (line["event"], line["text"], line["deep"], line["ok"]) == ("***", "***", "***", True)
    assert line["level"] == "info" and line["timestamp"] != "***"


def test_seven_hundred_values_of_one_input_are_masked(
    lines: Callable[[str], io.StringIO], guarded: None
) -> None:
    sensitive = guarding()
    assert sensitive is not None
    values = [f"a value {number:03}" for number in range(700)]
    sensitive.add(values)
    written = lines("json")
    for value in values:
        structlog.get_logger("our.own").info("something", text=value)
    assert "a value" not in written.getvalue()
