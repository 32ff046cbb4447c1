"""What a process logs, and what it tells Prefect."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.logs import set_up_logging
from app.prefect_environment import prefect_api_url, prefect_environment, prefect_server_environment
from app.settings import Settings

LOGGING = """
import logging, sys, structlog
from app.logs import set_up_logging
set_up_logging("INFO", sys.argv[1], part="work")
structlog.get_logger("app.test").info("turn_done", conversation=7)
logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
logging.getLogger("httpx").info("GET /8x8/a-secret-token")
logging.getLogger("uvicorn.access").info("POST /8x8/a-secret-token")
structlog.get_logger("app.test").debug("too fine")
try:
    secret = "what the user wrote"
    raise ValueError("type only")
except ValueError:
    structlog.get_logger("app.test").exception("turn_failed")
"""


def log_lines(form: str) -> list[str]:
    """What a process that logs in this form writes."""
    done = subprocess.run([sys.executable, "-c", LOGGING, form], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_logs_are_json_with_the_event_its_fields_and_the_part() -> None:
    first, second, third = (json.loads(line) for line in log_lines("auto"))
    assert (first["event"], first["conversation"], first["part"]) == ("turn_done", 7, "work")
    assert (first["level"], first["logger"]) == ("info", "app.test")
    assert (second["event"], second["logger"], second["part"]) == ("from uvicorn", "uvicorn.error", "work")
    assert third["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_log_holds_paths_with_tokens_or_local_variables(form: str) -> None:
    text = "\n".join(log_lines(form))
    assert "turn_failed" in text
    assert "a-secret-token" not in text
    assert "what the user wrote" not in text


def test_an_unknown_level_or_form_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="PARLEY_LOG_LEVEL"):
        set_up_logging("LOUD")
    with pytest.raises(ConfigurationError, match="PARLEY_LOG_FORMAT"):
        set_up_logging("INFO", "xml")


def test_what_the_operator_set_for_prefect_stands(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, prefect_port=4711)
    given = {"PREFECT_API_URL": "https://prefect.example.com/api", "PREFECT_HOME": "/elsewhere"}
    assert not set(given) & set(prefect_environment(settings, given))
    assert prefect_api_url(settings, given) == "https://prefect.example.com/api"
    assert prefect_environment(settings, {})["PREFECT_API_URL"] == "http://127.0.0.1:4711/api"


def test_prefect_keeps_everything_below_parleys_home(tmp_path: Path) -> None:
    variables = prefect_server_environment(Settings(home=tmp_path), {})
    for name in ("PREFECT_HOME", "PREFECT_PROFILES_PATH", "PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        assert str(tmp_path) in variables[name]


def test_prefect_knows_every_variable_it_is_told(tmp_path: Path) -> None:
    code = """
import sys
from prefect.settings.legacy import _get_settings_fields
from prefect.settings.models.root import Settings
print("\\n".join(_get_settings_fields(Settings)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    settings = Settings(home=tmp_path)
    told = {**prefect_environment(settings, {}), **prefect_server_environment(settings, {})}
    assert set(told) - set(done.stdout.split()) == {"DO_NOT_TRACK"}
