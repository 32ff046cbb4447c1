"""Process settings, read from PARLEY_… variables. What an endpoint can be set to stands in endpoints.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one Parley process; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore")

    home: Path = Path(".parley")
    """Data folder: embedded PostgreSQL, Prefect's database, the sandbox's key."""
    database_url: str | None = None
    """postgresql://… of a PostgreSQL 14.9 or newer; without it an embedded one runs in `home`."""
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(8081, ge=0, le=65535)
    console_password: SecretStr | None = Field(None, min_length=8)
    """Opens the console; without one it is open to this machine alone."""
    admin_url: str | None = None
    """Where people reach the admin port, when a proxy stands before it: https://parley.example.com."""
    public_url: str | None = None
    files_key: SecretStr | None = None
    """Signs the URLs of files; older ones after a comma. Without one it is in `files.key` in `home`."""
    endpoints: Path = Path("endpoints.yaml")
    sandbox_port: int = Field(8088, ge=0, le=65535)
    prefect_port: int = Field(4200, ge=0, le=65535)
    log_level: str = "INFO"
    log_format: str = "auto"
    """auto (readable on a terminal, else JSON), json or console."""

    freshness: float = Field(600.0, gt=0)
    """How far a webhook's transmission time may be from this clock."""
    lease: float = Field(15.0, gt=0)
    """How long a worker's conversations are its own after its last sign of life."""
    sweep: float = Field(1.0, gt=0)
    """Pause between two looks for due conversations that no notification told of."""
    prefect_niceness: int = Field(15, ge=0, le=19)
    """How far the Prefect server that `up` starts gives way to replies; 0: not at all."""
    linger: float = Field(60.0, ge=0)
    """How long a quiet conversation stays open (and its Prefect run too)."""
    max_sessions: int = Field(300, ge=1)
    """Conversations open at a time in one worker."""
    max_sessions_per_endpoint: int = Field(200, ge=1)
    step_threads: int = Field(16, ge=1)
    """Synchronous steps that run at a time in one worker."""
    stuck_after: float = Field(10.0, gt=0)
    """A worker whose event loop stands still for longer ends itself."""
    run_wait: float = Field(0.25, ge=0)
    """How long a turn waits for its Prefect run to open."""
    retain_days: int = Field(90, ge=1)
    """Days that processed events' bodies, ended dialogs' journals and timers are kept."""

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        if not url:
            return None
        if not re.match(r"postgres(ql)?(\+\w+)?://", url):
            raise ValueError("must be postgresql://user:password@host/database")
        return url
