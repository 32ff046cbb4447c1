"""The smallest bot that shows something: it says what it hears, and counts."""

from __future__ import annotations

from app.bot import Chat


async def echo(chat: Chat) -> None:
    """Answer one message with itself; the dialog is over after that, the session's counter stays."""
    chat.session["messages"] = chat.session.get("messages", 0) + 1
    message = chat.message
    if message.attachments:
        names = ", ".join(file.name or "a file" for file in message.attachments)
        await chat.say(f"You sent {names}.")
    elif message.text.strip():
        await chat.say(f"You said: {message.text[:9000]}")
    else:
        await chat.say("Say something, and I will say it back.")
