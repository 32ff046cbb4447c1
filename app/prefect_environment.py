"""How every process of Parley is set up towards Prefect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.settings import Settings


def prefect_environment(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for processes that run flows: set them before `prefect` is imported.

    What the operator has set in `environ` stands; only variables that aren't set are returned.
    """
    home = (settings.home.expanduser().absolute() / "prefect").as_posix()
    wanted = {
        "PREFECT_HOME": home,
        "PREFECT_PROFILES_PATH": f"{home}/profiles.toml",
        "PREFECT_API_URL": prefect_api_url(settings, environ),
        # No requests to anything but the API, and none there that only cost a round trip.
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false",
        # Runs hold ids and durations; what is logged goes to Parley's own log.
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("prefect_logging.yml")),
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": f"{home}/results",
        # A run whose process dies is told from one that is quiet (the zombie automation).
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # Events wait in memory while the server is away.
        "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "10000",
    }
    return {name: value for name, value in wanted.items() if name not in environ}


def prefect_server_environment(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for the Prefect server that `parley up` starts: its own SQLite, UI and API on loopback."""
    home = settings.home.expanduser().absolute() / "prefect"
    url = local_api_url(settings)
    wanted = {
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_UI_API_URL": url,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Above the client's own keep-alive, so that the server never closes a connection being used.
        "PREFECT_SERVER_API_KEEPALIVE_TIMEOUT": "60",
        # Task runs are recorded by the batch: one by one steals the CPU from replies.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }
    client = prefect_environment(settings, environ)
    client.pop("PREFECT_LOGGING_SETTINGS_PATH", None)  # the server keeps its own log
    return {**client, **{name: value for name, value in wanted.items() if name not in environ}}


def local_api_url(settings: Settings) -> str:
    """The API of the server that `parley up` starts."""
    return f"http://127.0.0.1:{settings.prefect_port}/api"


def prefect_api_url(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The API that runs are recorded at: `PREFECT_API_URL`, else the one `parley up` starts."""
    return environ.get("PREFECT_API_URL") or local_api_url(settings)
