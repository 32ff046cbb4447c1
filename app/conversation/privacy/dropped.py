"""`chat.analytics.drop(field)`: a field of the newest input that no transcript keeps."""

from __future__ import annotations

from typing import Any

from app.conversation.changes import Row
from app.conversation.draft import Draft
from app.conversation.owned import Owned
from app.conversation.privacy.masks import leaves, masked, pattern, scrubbed
from app.database.recordset import as_json, rows

#: Who writes an input's line: the user, or a service that injects.
_AUTHORS = ("user", "system")

_LINES = """
SELECT id, event_id, text, content FROM message
WHERE session_id = $1 AND event_id = ANY($2::bigint[]) AND author = ANY($3::text[])
"""

_REWRITE = f"""
UPDATE message SET text = new.text, content = new.content
FROM {rows({"id": "bigint", "text": "text", "content": "jsonb"}, 1)} WHERE message.id = new.id
"""  # noqa: S608 - names of columns


def drop(draft: Draft, field: str) -> None:
    """Mask a field of the newest input's line: in this transaction, or where it is stored already."""
    state = draft.state
    assert state.dialog is not None and state.session is not None
    taken = (entry.event_id for entry in reversed(state.dialog.entries) if entry.kind == "input")
    event = next(taken, None)
    for row in draft.changes.messages:
        if row["event_id"] == event and row["author"] in _AUTHORS:
            row.update(without(row["text"], row["content"], field))
            return
    if event is not None:
        draft.changes.dropped.append({"session": state.session.id, "event": event, "field": field})


def without(text: str | None, content: dict[str, Any], field: str) -> Row:
    """A line's text and content without a field, and without what it says wherever else the line has that."""
    if field == "text":
        said = pattern([text or ""])
    else:
        content = dict(content)
        if isinstance(content.get("data"), dict):
            content["data"] = dict(content["data"])
        found: list[str] = []
        for part in (content, content.get("data")):
            if isinstance(part, dict) and field in part:
                found += leaves(part[field])
                part[field] = masked(part[field])
        said = pattern(found)
    return {"text": scrubbed(text, said), "content": scrubbed(content, said)}


async def drop_stored(holding: Owned, dropped: list[Row]) -> None:
    """Mask fields of lines that an earlier transaction wrote."""
    events = [row["event"] for row in dropped]
    lines = await holding.fetch(_LINES, dropped[0]["session"], events, list(_AUTHORS))
    new: list[Row] = []
    for line in lines:
        row = {"text": line["text"], "content": line["content"]}
        for each in dropped:
            if each["event"] == line["event_id"]:
                row = without(row["text"], row["content"], each["field"])
        new.append({"id": line["id"], **row})
    if new:
        await holding.fetch(_REWRITE, as_json(new))
