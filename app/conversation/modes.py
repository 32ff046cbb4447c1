"""The red button: who gets new inputs of an endpoint, changed while everything runs.

live: the bot. to_queue: the agents of `handover.queue`. silent: nobody; inputs are noted.
"""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.state import ConversationState
from app.database.engine import MODES_CHANNEL
from app.endpoints import Endpoint

Mode = Literal["live", "to_queue", "silent"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: Who gets an input.
Receiver = Literal["bot", "agents", "nobody"]

_READ = text("SELECT endpoint, mode FROM endpoint_state WHERE mode <> 'live'")

_SET = text(
    """
    WITH before AS (SELECT mode FROM endpoint_state WHERE endpoint = :endpoint), changed AS (
        INSERT INTO endpoint_state (endpoint, mode) VALUES (:endpoint, :mode)
        ON CONFLICT (endpoint) DO UPDATE SET mode = :mode
    )
    SELECT COALESCE((SELECT mode FROM before), 'live')
    """
)
_TELL = text("SELECT pg_notify(:channel, :endpoint)")


class Modes:
    """The modes as this worker last read them: again each second, and at once when told."""

    def __init__(self) -> None:
        self._modes: dict[str, str] = {}

    def mode(self, endpoint: str) -> str:
        """An endpoint's mode."""
        return self._modes.get(endpoint, "live")

    async def refresh(self, engine: AsyncEngine) -> None:
        """Read them again."""
        async with engine.connect() as connection:
            self._modes = {row.endpoint: row.mode for row in await connection.execute(_READ)}

    def receiver(self, state: ConversationState, endpoint: Endpoint) -> Receiver:
        """Who gets a new input of this conversation, if no human has it already."""
        match self.mode(endpoint.name):
            case "silent":
                return "nobody"
            case "to_queue":
                return "agents"
            case _ if endpoint.enabled == "draining" and state.sessions == 0:
                return "agents" if endpoint.handover.queue is not None else "nobody"
            case _:
                return "bot"


async def set_mode(engine: AsyncEngine, endpoint: str, mode: Mode) -> str:
    """Set an endpoint's mode and tell all workers; the mode before."""
    async with engine.begin() as connection:
        before = (await connection.execute(_SET, {"endpoint": endpoint, "mode": mode})).scalar_one()
        await connection.execute(_TELL, {"channel": MODES_CHANNEL, "endpoint": endpoint})
    return str(before)
