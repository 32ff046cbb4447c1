"""The user's part: write, choose, submit, send files, type, leave."""

import mimetypes

from app.sandbox import events
from app.sandbox.desk import NotPossible
from app.sandbox.gateway import Gateway
from app.sandbox.model import (
    TYPING_SECONDS,
    Attachment,
    Conversation,
    JsonObject,
    Message,
    NewMessage,
    new_id,
    now_ms,
)
from app.sandbox.store import Store

TYPING_CHANNELS = ("WebChat", "WhatsApp", "RCS", "ChatAPI")
QUICK_REPLIES = "application/8x8.quick.replies"


def quick_replies(message: Message) -> list[JsonObject]:
    """The options of a message's quick replies, in order."""
    cards = [card.content.get("options") for card in message.cards if card.content_type == QUICK_REPLIES]
    return [o for options in cards if isinstance(options, list) for o in options if isinstance(o, dict)]


class Customer:
    """What the person at the other end does, with the events that 8x8 sends about it."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        self._gateway = gateway
        self._store = store

    def say(self, conversation: Conversation, text: str | None, files: list[str] | None = None) -> Message:
        """The user writes, or sends files that were added before."""
        self._wake(conversation)
        return self._gateway.post(conversation, NewMessage("user", text, files or []))

    def add_file(self, conversation: Conversation, name: str, content: bytes, kind: str | None) -> Attachment:
        """A file of the user, not sent yet; the type is guessed from the name when not given."""
        guessed = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
        file = Attachment(new_id(), name, guessed, content, "user", now_ms())
        self._store.add_attachment(conversation, file)
        return file

    def quick_reply(self, conversation: Conversation, title: str, payload: object) -> str:
        """The user clicks a quick reply. Returns the event id."""
        self._wake(conversation)
        value: JsonObject = {"type": "postback", "data": {"title": title, "payload": payload}}
        return self._activity(conversation, "quickReply/action", value)

    def option(self, conversation: Conversation, number: int) -> tuple[str, object]:
        """Title and postback of the newest message's quick reply, from 1. Raises NotPossible."""
        offered = next((found for m in reversed(conversation.messages) if (found := quick_replies(m))), [])
        if not 1 <= number <= len(offered):
            raise NotPossible(f"there is no quick reply {number}")
        chosen = offered[number - 1]
        data = chosen.get("data")
        title = str(chosen.get("title", ""))
        return title, data.get("postback", title) if isinstance(data, dict) else title

    def card(self, conversation: Conversation, kind: str, data: object, card_id: str | None) -> str:
        """The user submits (or executes) a card. Returns the event id. Raises NotPossible."""
        self._wake(conversation)
        if card_id is not None:
            card = conversation.find_card(card_id)
            if card is None:
                raise NotPossible(f"there is no card {card_id}")
            if kind == "Action.Submit":
                card.submitted = True
            else:
                card.executed = True
        return self._activity(conversation, "adaptiveCard/action", {"type": kind, "data": data})

    def activity(self, conversation: Conversation, name: str, value: object) -> str:
        """Any activity of the user. Returns the event id."""
        self._wake(conversation)
        return self._activity(conversation, name, value)

    def typing(self, conversation: Conversation, on: bool) -> str | None:
        """The user begins or stops typing. Returns the event id; None where the channel has no such event."""
        if conversation.channel not in TYPING_CHANNELS:
            return None
        conversation.type_for("user", TYPING_SECONDS if on else 0.0)
        users: list[JsonObject] = [{"id": conversation.user_id, "type": "user"}] if on else []
        return self._gateway.tell(conversation, "ACTIVITY", events.typing(users))

    def leave(self, conversation: Conversation) -> None:
        """The user leaves: the interaction is over, an agent too is done."""
        self._gateway.left(conversation, "user", conversation.user_id)
        self._gateway.end(conversation)

    def _activity(self, conversation: Conversation, name: str, value: object) -> str:
        return self._gateway.tell(conversation, "ACTIVITY", events.activity(name, value))

    def _wake(self, conversation: Conversation) -> None:
        """An idle conversation becomes active again, with the bot's script."""
        if conversation.state != "idle":
            return
        script = self._store.tenants[conversation.tenant].script
        conversation.assignment = {"type": "script", "id": script}
        self._gateway.take_in(conversation, "user", conversation.user_id)
        self._gateway.activate(conversation)
