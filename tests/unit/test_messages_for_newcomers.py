"""What somebody reads who has set something wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.common import read_endpoints_file, read_settings
from app.commands.endpoints import endpoint_url
from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.ports import Port, check_ports


@pytest.mark.parametrize("url", ["nonsense", "mysql://me:s3cret@db/parley"])
def test_a_database_url_that_is_none_is_refused_by_name_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", url)
    with pytest.raises(ConfigurationError) as error:
        read_settings()
    assert str(error.value).splitlines() == [
        "wrong settings",
        "  PARLEY_DATABASE_URL: must be postgresql://user:password@host/database",
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_usual_database_urls_are_taken(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", f"{scheme}://me@db/parley")
    assert read_settings().database_url == f"{scheme}://me@db/parley"


def test_an_empty_database_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", "")
    assert read_settings().database_url is None


def test_without_endpoints_yaml_the_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No such file or directory \(PARLEY_ENDPOINTS"):
        read_endpoints_file(Settings(endpoints=tmp_path / "endpoints.yaml"))


def test_an_address_of_another_machine_is_not_called_a_taken_port() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 is not an address of this machine"):
        check_ports([Port("PARLEY_PORT", "192.0.2.1", 8080)])


def test_the_url_shown_can_be_called() -> None:
    token = "a-token-of-24-characters"
    assert endpoint_url(Settings(host="0.0.0.0", port=80), token) == f"http://127.0.0.1:80/8x8/{token}"
    public = Settings(public_url="https://bots.example.com/")
    assert endpoint_url(public, token) == f"https://bots.example.com/8x8/{token}"
