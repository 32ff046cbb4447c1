"""What a REST call is about, told from its method and path."""

from functools import lru_cache
from typing import NamedTuple

PREFIX = "/chat-gateway/v1"
CARD_PREFIX = "/api/v1/tenant"
JWK = "jwk"

_OF_CONVERSATION = {
    ("POST", "messages"): "send_message",
    ("GET", "messages"): "read_messages",
    ("POST", "post-agent-assignment"): "post_agent_assignment",
    ("POST", "typing"): "typing",
    ("POST", "thinking"): "thinking",
    ("POST", "read-receipt"): "read_receipt",
    ("GET", "participants"): "participants",
    ("PATCH", "participants"): "end_conversation",
    ("GET", "interactions"): "interactions",
    ("POST", "attachments"): "attachments",
    ("GET", "attachments"): "attachments",
}


class Route(NamedTuple):
    """The operation (None: no such call) and the conversation it is about."""

    operation: str | None
    conversation: str | None


@lru_cache(maxsize=4096)
def route_of(method: str, path: str) -> Route | None:
    """The route of a call to 8x8; None for any other path."""
    if path.startswith(CARD_PREFIX + "/"):
        parts = path[len(CARD_PREFIX) + 1 :].split("/")
        return Route("cards", parts[2] if len(parts) > 2 else None)
    if path != PREFIX and not path.startswith(PREFIX + "/"):
        return None
    parts = path[len(PREFIX) + 1 :].split("/")
    if parts[0] == JWK:
        return Route(JWK, None)
    if parts[0] in ("webhooks", "channels"):
        return Route(parts[0], None)
    if parts[0] != "conversations":
        return Route(None, None)
    if len(parts) == 1:
        return Route("create_conversation" if method == "POST" else "list_conversations", None)
    if len(parts) == 2:
        return Route("read_conversation" if method == "GET" else "update_conversation", parts[1])
    if parts[2] == "messages" and len(parts) > 3:
        return Route("cards" if len(parts) > 4 else "read_message", parts[1])
    return Route(_OF_CONVERSATION.get((method, parts[2])), parts[1])
