"""What `parley check` warns of, and the rules of handover and alert settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.endpoints import Endpoints
from app.endpoints_file import read_endpoints
from app.endpoints_storage import Files
from app.endpoints_warnings import warnings_about, without_public_url

BACK = {"return_assignment": {"id": "2001"}}


def warned(handover: dict[str, Any], flow: str = "flows.bots.echo:echo", **settings: Any) -> list[str]:
    """The warnings of a file with one endpoint."""
    endpoint = {
        "name": "support",
        "token": "a-token-of-24-characters",
        "flow": flow,
        "eightxeight": {"api_key": "eght_0123456789"},
        "handover": handover,
        **settings,
    }
    return list(warnings_about(Endpoints.model_validate({"endpoints": [endpoint]})))


@pytest.mark.parametrize(
    ("handover", "words"),
    [
        ({"cancel_text": "Stop"}, "cancel_text is never offered"),
        ({"timeout": 60}, "stays in 8x8's queue"),
        ({"repeat_message": True}, "no handover.message to repeat"),
        ({"inactivity": 5}, "has no on_inactive"),
    ],
)
def test_settings_that_can_do_nothing_are_named(handover: dict[str, Any], words: str) -> None:
    [warning] = warned(handover)
    assert warning.startswith("support: warning: ") and words in warning


def test_settings_that_can_be_kept_to_are_no_matter() -> None:
    assert (
        warned({"cancel_text": "Stop", "timeout": 60, "message": "…", "repeat_message": True, **BACK}) == []
    )


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        ("http://api.example.com", True),
        ("https://api.example.com", False),
        ("http://127.0.0.1:8088", False),
        ("http://[::1]:8088", False),
    ],
)
def test_a_gateway_beyond_this_machine_without_tls_is_named(address: str, open_: bool) -> None:
    found = warned({}, eightxeight={"api_key": "eght_0123456789", "base_url": address})
    assert [("base_url is http" in warning) for warning in found] == [True] * open_


def test_draining_without_a_queue_is_named() -> None:
    assert "draining without a handover.queue" in warned({}, enabled="draining")[0]
    assert warned({"queue": "101"}, enabled="draining") == []


def test_a_bot_that_would_cancel_what_cannot_be_taken_back_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cancelling_bot.py").write_text(
        "async def bot(chat):\n    await chat.handover(cancel_text='Stop', cancel_when=None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    [warning] = warned({}, "cancelling_bot:bot")
    assert "cancelling_bot.py:2: warning: chat.handover(cancel_text=) can't be offered" in warning
    assert warned(BACK, "cancelling_bot:bot") == []


HANDOVER_CALLS = [
    ("handover('1', None, None, 'Stop')", {}, "chat.handover(cancel_text=) can't be offered"),
    ("handover(cancel_when=len)", {}, "chat.handover(cancel_when=) can't be offered"),
    ("handover(timeout=60)", {}, "chat.handover(timeout=) leaves the user in 8x8's queue"),
    ("handover('1', None, None, None, None, 60)", {}, "chat.handover(timeout=) leaves the user"),
    ("handover(on_inactive=print)", BACK, "chat.handover(on_inactive=) is never called"),
    ("close_handover()", {}, "chat.close_handover() takes nothing back"),
]


@pytest.mark.parametrize(("call", "handover", "words"), HANDOVER_CALLS)
def test_what_a_bot_asks_of_an_endpoint_that_cannot_do_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, handover: dict[str, Any], words: str
) -> None:
    name = f"asking_bot_{[each[0] for each in HANDOVER_CALLS].index(call)}"
    (tmp_path / f"{name}.py").write_text(f"async def bot(chat):\n    await chat.{call}\n")
    monkeypatch.syspath_prepend(tmp_path)
    [warning] = warned(handover, f"{name}:bot")
    assert f"{name}.py:2: warning: {words}" in warning
    assert not any(words in line for line in warned({**BACK, "inactivity": 1}, f"{name}:bot"))


def test_a_bot_is_not_blamed_for_another_of_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_bots.py").write_text(
        "async def hands_over(chat):\n    await chat.handover(cancel_when=len)\n"
        "async def talks(chat):\n    await chat.say('hello')\n"
        "async def asks_first(chat):\n    await chat.ask('Why?')\n    await hands_over(chat)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert warned({}, "two_bots:talks") == []
    assert "two_bots.py:2: warning" in warned({}, "two_bots:hands_over")[0]
    assert "two_bots.py:2: warning" in warned({}, "two_bots:asks_first")[0]


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        (
            "alerts: {webhook: 'ftp://x', secret: a-secret-of-24-characters}",
            "alerts.webhook: must begin with",
        ),
        ("alerts: {webhook: 'https://x/y?z=1', secret: short}", "alerts.secret: must have at least 16"),
        (
            "alerts: {webhook: 'https://x', secret: a-secret-of-24-characters, kind: []}",
            "did you mean 'kinds'",
        ),
    ],
)
def test_mistakes_in_alerts_are_named(tmp_path: Path, lines: str, mistake: str) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(f"endpoints: []\n{lines}\n")
    assert mistake in "\n".join(map(str, read_endpoints(path, {})[1]))


@pytest.mark.parametrize(
    ("url", "right"), [("https://x/{id}", True), ("https://x/{key}", False), ("{", False)]
)
def test_only_the_id_is_filled_into_a_transcripts_address(tmp_path: Path, url: str, right: bool) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(
        "endpoints:\n  - name: a\n    token: a-token-of-24-characters\n    flow: flows.bots.echo:echo\n"
        "    eightxeight: {api_key: eght_0123456789}\n"
        f"    handover: {{transcript_url: '{url}'}}\n"
    )
    assert (read_endpoints(path, {})[1] == []) == right


def test_files_larger_than_clamav_scans_by_itself_are_named() -> None:
    endpoints = read_endpoints(Path(__file__).parents[2] / "endpoints.yaml")[0]
    assert endpoints is not None

    def told(**files: Any) -> list[str]:
        return list(warnings_about(endpoints.model_copy(update={"files": Files.model_validate(files)})))

    [warning] = told(clamd="clamav:3310", max_size="26MiB")
    assert "StreamMaxLength" in warning
    assert told(clamd="clamav:3310", max_size="25MiB") == told(max_size="26MiB") == []


def test_without_a_public_url_endpoints_beyond_this_machine_are_named() -> None:
    endpoints = [
        {
            "name": name,
            "token": f"a-token-of-{name}-long-enough",
            "flow": "flows.bots.echo:echo",
            "eightxeight": {"api_key": "eght_0123456789", "base_url": url},
        }
        for name, url in (("here", "http://127.0.0.1:8088"), ("there", "https://api.8x8.com"))
    ]
    [warning] = without_public_url(Endpoints.model_validate({"endpoints": endpoints}))
    assert warning.startswith("there: warning: PARLEY_PUBLIC_URL")
