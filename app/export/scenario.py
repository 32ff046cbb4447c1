"""A stored conversation as a scenario that the sandbox can play."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import yaml

from app.export.masking import Mask
from app.export.stored import Item, StoredConversation

NEAR = timedelta(seconds=10)
"""An agent who leaves this close to a TRANSFER was transferring."""

CHANNELS = ("WebChat", "WhatsApp", "SMS", "Facebook", "Viber", "RCS", "Email", "ChatAPI", "Twitter")
_USER_FIELDS = ("name", "email", "phone", "company", "language", "timezoneOffset")
_LOST = "(what the file held is not stored)"
_HEAD = """\
# Exported from a stored conversation{masked}. What the bot said then is what it must say again:
# loosen a `bot` step with contains or matches where its answer may differ.
"""


def as_scenario(stored: StoredConversation, name: str, mask: Mask) -> dict[str, Any]:
    """The scenario as JSON: see `app.sandbox.scenario.model`."""
    known = {**stored.profile, **stored.user}
    user = {field: mask.value(known[field]) for field in _USER_FIELDS if known.get(field) not in (None, "")}
    return {
        "name": name,
        "endpoint": stored.endpoint,
        "channel": stored.channel if stored.channel in CHANNELS else "WebChat",
        "user": user,
        "steps": [mask.value(step) if "agent_joins" not in step else step for step in _steps(stored.story)],
    }


def as_yaml(scenario: dict[str, Any], *, masked: bool) -> str:
    """The file's text."""
    body = yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True, width=110)
    return _HEAD.format(masked=", masked" if masked else "") + body


def _steps(story: list[Item]) -> Iterator[dict[str, Any]]:
    agents: dict[str, str] = {}
    for place, item in enumerate(story):
        member = _member(item)
        if item.what == "message":
            yield from _message(item)
        elif item.what == "assignment":
            yield from _handover(item.content or {})
        elif item.what == "TRANSFER":
            yield from _transfer(story, place)
        elif member == "user left":
            yield {"user_leaves": True}
        elif member == "agent joined":
            yield {"agent_joins": agents.setdefault(_id(item), f"agent-{len(agents) + 1}")}
        elif member == "agent left" and not _near(story, place, "TRANSFER"):
            yield {"agent_leaves": True}


def _member(item: Item) -> str:
    """ "agent joined", "user left" and the like; "" for other events."""
    data = item.data or {}
    return f"{data.get('memberType')} {data.get('change')}" if item.what == "MEMBERS_CHANGED" else ""


def _id(item: Item) -> str:
    return str((item.data or {}).get("id"))


def _transfer(story: list[Item], place: int) -> Iterator[dict[str, Any]]:
    """The transfer, where a later QUEUED tells the queue."""
    queued = (item.data for item in story[place:] if item.what == "QUEUED" and item.data)
    queue = next((str(data.get("queueId")) for data in queued), None)
    if queue is not None:
        left_before = _near(story[: place + 1], place, "agent left")
        yield {
            "agent_transfers": {"queue": queue, "order": "left_first" if left_before else "transfer_first"}
        }


def _near(story: list[Item], place: int, what: str) -> bool:
    """Whether this happened close to the item, before or after, without an agent joining in between."""
    for others in (reversed(story[:place]), story[place + 1 :]):
        for item in others:
            if abs(item.at - story[place].at) > NEAR or _member(item) == "agent joined":
                break
            if what in (item.what, _member(item)):
                return True
    return False


def _message(item: Item) -> Iterator[dict[str, Any]]:
    content = item.content or {}
    if item.author == "agent" and item.text:
        yield {"agent": item.text}
    elif item.author == "bot" and content.get("to") != "agent":
        yield {"bot": _bot(item.text, content)}
    elif item.author == "user":
        yield from _user(item, content)


def _user(item: Item, content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    activity = item.data or {}
    if item.kind == "text":
        files = content.get("attachments") or []
        if item.text or not files:
            yield {"user": item.text or ""}
        for file in files:
            yield {"file": {"name": str(file.get("name") or "file"), "content": _LOST}}
    elif item.kind == "quick_reply":
        yield {"click": {"title": item.text or "", "payload": content.get("payload")}}
    elif item.kind == "card":
        yield {"submit": content.get("data") or {}}
    elif isinstance(activity.get("name"), str):
        yield {"activity": {"name": activity["name"], "value": activity.get("value")}}


def _bot(text: str | None, content: dict[str, Any]) -> str | dict[str, Any]:
    raw = content.get("raw") or {}
    expected: dict[str, Any] = {"text": text or raw.get("text")}
    if content.get("quick_replies"):
        expected["quick_replies"] = [reply["title"] for reply in content["quick_replies"]]
    expected["card"] = content.get("card")
    expected = {name: value for name, value in expected.items() if value}
    return expected["text"] if list(expected) == ["text"] else expected


def _handover(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    assignment = content.get("assignment") or {}
    if assignment.get("type", "queue") == "queue":
        properties = (content.get("user") or {}).get("additionalProperties") or []
        handed = {str(each["key"]): str(each.get("value", "")) for each in properties if "key" in each}
        yield {"handover": {"queue": str(assignment.get("id")), "properties": handed}}
