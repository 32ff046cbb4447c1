"""Signed URLs of files."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from app.errors import ConfigurationError
from app.files.links import Links, open_links
from app.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = "0123456789abcdef0123456789abcdef"


def parts(url: str) -> tuple[str, str, str]:
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path.rpartition("/")[2], query["expires"][0], query["signature"][0]


def test_a_url_opens_its_file_until_it_expires() -> None:
    links = Links([b"k" * 32], "https://parley.example/")
    url = links.url(NUMBER, NOW + timedelta(hours=1))
    assert url.startswith(f"https://parley.example/files/{NUMBER}?expires=")
    assert links.opens(*parts(url), NOW + timedelta(minutes=59))
    assert not links.opens(*parts(url), NOW + timedelta(hours=1))


def test_a_url_that_was_changed_opens_nothing() -> None:
    links = Links([b"k" * 32], "https://parley.example")
    number, expires, signature = parts(links.url(NUMBER, NOW + timedelta(hours=1)))
    later = str(int(expires) + 1)
    for changed in [
        ("f" * 32, expires, signature),
        (number, later, signature),
        (number, expires, signature[:-1] + ("A" if signature[-1] != "A" else "B")),
        (number, expires, ""),
        (number, expires, None),
        (number, None, signature),
        (number, "soon", signature),
        (number, "٣", signature),
        (number, "-1", signature),
        (number, expires, "ü" * 43),
        (number, "9" * 400, signature),
    ]:
        assert not links.opens(*changed, NOW)


def test_keys_rotate_while_old_urls_still_open() -> None:
    until = NOW + timedelta(hours=1)
    old, both, new = (Links(keys, "") for keys in ([b"a" * 16], [b"b" * 16, b"a" * 16], [b"b" * 16]))
    assert both.opens(*parts(old.url(NUMBER, until)), NOW)
    assert new.opens(*parts(both.url(NUMBER, until)), NOW)
    assert not new.opens(*parts(old.url(NUMBER, until)), NOW)


def test_without_a_key_one_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", public_url="https://parley.example")
    url = open_links(settings).url(NUMBER, NOW + timedelta(hours=1))
    assert open_links(settings).opens(*parts(url), NOW)
    [path] = (tmp_path / "home").iterdir()
    assert path.name == "files.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PARLEY_FILES_KEY"):
        open_links(Settings(home=tmp_path, files_key=SecretStr("a" * 32 + ",short")))
