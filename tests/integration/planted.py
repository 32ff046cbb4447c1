"""Texts that are planted, and looked for in every table."""

from __future__ import annotations

from typing import Any

from app.database.tables import metadata
from tests.integration.scene import Scene

TEXT, DATA, STEP, IDENTITY = "zanzibar-text", "zanzibar-data", "zanzibar-step", "zanzibar-user"
SECRETS = (TEXT, DATA, STEP)
#: What a replay needs, and nothing else, may hold a clear text while the session is open.
REPLAYED = {"event", "journal", "delivery", "session", "dialog"}


async def holding(play: Scene, *secrets: str) -> dict[str, set[str]]:
    """Which tables hold which of these texts, every row of every table read as text."""
    found: dict[str, set[str]] = {}
    for name in metadata.tables:
        for row in await play.rows(
            f"SELECT CAST(t AS text) || ' ' || CAST(to_jsonb(t) AS text) FROM {name} t"
        ):
            for secret in secrets:
                if secret in row[0] or secret.encode().hex() in row[0]:
                    found.setdefault(name, set()).add(secret)
    return found


def update(play: Scene, state: str, **data: Any) -> dict[str, Any]:
    """A CONVERSATION_UPDATE."""
    return {
        "eventType": "CONVERSATION_UPDATE",
        "conversationId": play.conversation,
        "data": {"state": state, "channel": "WebChat", **data},
    }
