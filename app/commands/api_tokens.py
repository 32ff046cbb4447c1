"""`parley token new --scope`, `list` and `revoke`: tokens that are kept in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.access.tokens import SCOPES, list_tokens, new_token, revoke_token
from app.commands.common import counted, print_json, print_table, read_settings
from app.commands.database import with_database
from app.errors import ConfigurationError


def run_new(*, scope: str, name: str, endpoints: Sequence[str], days: int | None) -> None:
    """Make a token and print it, this once."""
    if scope not in SCOPES:
        raise ConfigurationError(f"--scope must be one of {', '.join(SCOPES)}")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    number, token = with_database(
        read_settings(),
        lambda engine: new_token(engine, name=name, scope=scope, endpoints=endpoints, expires_at=expires_at),
    )
    print(f"token {number} (shown only now): {token}")  # noqa: T201
    print(f"reads: {', '.join(endpoints) or 'every endpoint'}")  # noqa: T201


def run_list(*, as_json: bool) -> None:
    """Print what tokens there are."""
    rows = with_database(read_settings(), list_tokens)
    if as_json:
        print_json(rows)
        return
    columns = ["id", "name", "scope", "endpoints", "created_at", "expires_at", "revoked_at", "last_used_at"]
    print_table(counted(len(rows), "token"), columns, rows)


def run_revoke(number: int) -> None:
    """End a token. Raises ConfigurationError where there is no such valid one."""
    name = with_database(read_settings(), lambda engine: revoke_token(engine, number))
    if name is None:
        raise ConfigurationError(f"there is no valid token {number}")
    print(f"revoked: {name}")  # noqa: T201
