"""What a line of the transcript may say. It is written so from the start: nothing is masked later."""

from __future__ import annotations

from typing import Any

from app.conversation.changes import Row
from app.conversation.privacy.masks import leaves, masked, pattern, scrubbed
from app.conversation.privacy.sanitize import plain
from app.conversation.state import ConversationState
from app.endpoints import Endpoint

#: Parts of a message that say what kind of thing it is, not what it says.
_STRUCTURE = ("to", "type", "contentType")


def shaped(endpoint: Endpoint, state: ConversationState, row: Row) -> Row | None:
    """The line as the endpoint's settings let it be; None: there is none."""
    if not endpoint.collect_conversations:
        return None
    author, content = row["author"], row["content"]
    if endpoint.mask_sensitive_analytics:
        if author in ("user", "system"):
            content = {name: item if name in _STRUCTURE else masked(item) for name, item in content.items()}
            return {**row, "text": masked(row["text"] or None), "content": content}
        return {**row, **without_inputs(endpoint, state, {"text": row["text"], "content": content})}
    if endpoint.hide_external_references and author == "user":
        return {**row, "text": plain(row["text"]), "content": plain(content)}
    return row


def without_inputs(endpoint: Endpoint, state: ConversationState, value: Any) -> Any:
    """A JSON value in which what the user sent is asterisks, where the endpoint wants that."""
    return scrubbed(value, pattern(inputs(state))) if endpoint.mask_sensitive_analytics else value


def inputs(state: ConversationState) -> list[str]:
    """What the user sent in the open dialog, which the bot or an agent may repeat."""
    found: list[str] = []
    for entry in state.dialog.entries if state.dialog is not None else []:
        if entry.kind == "input":
            message: dict[str, Any] = entry.content.get("message") or {}
            found += [str(message.get("text") or ""), *leaves(message.get("data"))]
            found += [str(file.get("name") or "") for file in message.get("attachments") or []]
    return found
