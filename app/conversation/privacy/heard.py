"""What was said in the open session, remembered where an endpoint masks it: anybody may repeat it later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.privacy.masks import leaves
from app.conversation.privacy.sealed import opened_entry
from app.conversation.state import ConversationState
from app.database.direct import direct
from app.endpoints import Endpoint
from app.sensitive import Sensitive, guarding

#: What earlier dialogs of the session were told. That of the open one is in memory.
_EARLIER = """
SELECT j.name, j.content FROM dialog d JOIN journal j ON j.dialog_id = d.id
WHERE d.session_id = $1 AND d.ended_at IS NOT NULL AND j.kind IN ('input', 'outcome')
ORDER BY d.id, j.position
"""


def masks(endpoint: Endpoint) -> bool:
    """Whether what was said must be known: transcripts or log lines are masked."""
    return endpoint.mask_sensitive_analytics or endpoint.mask_sensitive_logging


async def recall(engine: AsyncEngine, state: ConversationState) -> None:
    """Remember what was said so far in the open session, and from here on what is said."""
    state.heard = Sensitive()
    if state.session is not None:
        async with direct(engine) as database:
            for name, content in await database.driver.fetch(_EARLIER, state.session.id):
                state.heard.add(_said(opened_entry(name, content)[1]))
    for entry in state.dialog.entries if state.dialog is not None else []:
        if entry.kind in ("input", "outcome"):
            state.heard.add(_said(entry.content))
    for each in state.handover.messages if state.handover is not None else []:
        state.heard.add(_of_message(each.message))


def hear(state: ConversationState, message: Mapping[str, Any]) -> None:
    """Somebody said this: nobody repeats it in the transcript, nor in a log line, where that is masked."""
    for remembered in (state.heard, guarding()):
        if remembered is not None:
            remembered.add(_of_message(message))


def _said(content: Mapping[str, Any]) -> Iterator[str]:
    """What an entry of a journal tells the bot: an input, or what was said during a handover."""
    yield from _of_message(content.get("message") or {})
    for message in content.get("messages") or []:
        yield from _of_message(message)


def _of_message(message: Mapping[str, Any]) -> Iterator[str]:
    yield from leaves([message.get("text"), message.get("payload"), message.get("data")])
    yield from leaves([file.get("name") for file in message.get("attachments") or []])
