"""The names a bot author imports.

from app.bot import Chat

async def greet(chat: Chat) -> None:
    name = await chat.ask("What is your name?")
    await chat.say(f"Hello {name}.")
"""

from __future__ import annotations

from app.conversation.chat import Chat
from app.conversation.content import Card, QuickReply
from app.conversation.file import File
from app.conversation.message import Attachment, Message
from app.conversation.outcome import HandoverOutcome
from app.conversation.params import call
from app.conversation.typed import (
    Audio,
    Buttons,
    FileLink,
    Gallery,
    Image,
    Link,
    ListMessage,
    Location,
    Markdown,
    Phone,
    Postback,
    Template,
    Tile,
    Video,
)
from app.errors import BotError, FileUnavailable, NoAnswer, StepFailed, StepInterrupted

__all__ = [
    "Attachment",
    "Audio",
    "BotError",
    "Buttons",
    "Card",
    "Chat",
    "File",
    "FileLink",
    "FileUnavailable",
    "Gallery",
    "HandoverOutcome",
    "Image",
    "Link",
    "ListMessage",
    "Location",
    "Markdown",
    "Message",
    "NoAnswer",
    "Phone",
    "Postback",
    "QuickReply",
    "StepFailed",
    "StepInterrupted",
    "Template",
    "Tile",
    "Video",
    "call",
]
