"""What a line of the transcript may say. It is written so from the start: nothing is masked later."""

from __future__ import annotations

from app.conversation.changes import Row
from app.conversation.privacy.masks import MASK, masked
from app.conversation.privacy.sanitize import plain
from app.conversation.state import ConversationState
from app.endpoints import Endpoint

#: Parts of a message that say what kind of thing it is, not what it says.
_STRUCTURE = ("to", "type", "contentType")
#: Kind of a line by which a service speaks to the user: in the bot's name, but not in its words.
NOTIFY = "notify"


def shaped(endpoint: Endpoint, state: ConversationState, row: Row) -> Row | None:
    """The line as the endpoint's settings let it be; None: there is none."""
    if not endpoint.collect_conversations:
        return None
    author, content = row["author"], row["content"]
    if endpoint.mask_sensitive_analytics:
        if author == "bot" and row["kind"] != NOTIFY and state.heard is not None and not state.heard.full:
            return {**row, "text": state.heard.scrub(row["text"]), "content": state.heard.scrub(content)}
        content = {name: item if name in _STRUCTURE else masked(item) for name, item in content.items()}
        return {**row, "text": masked(row["text"] or None), "content": content}
    if endpoint.hide_external_references and author == "user":
        return {**row, "text": plain(row["text"]), "content": plain(content)}
    return row


def named(endpoint: Endpoint, state: ConversationState, name: str) -> str:
    """A bot's own name for something, in which what was said is asterisks, where the endpoint wants that."""
    if not endpoint.mask_sensitive_analytics:
        return name
    return MASK if state.heard is None or state.heard.full else state.heard.mask_text(name)
