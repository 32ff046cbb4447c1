"""Bots that the acceptance tests talk to.

They are copied beside the tests' endpoints.yaml and imported by Parley's own processes. What a test and a bot
tell each other goes through files in the folder PARLEY_TEST_SIGNALS, named after the bot's input.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from app.bot import (
    Audio,
    BotError,
    Buttons,
    Card,
    Chat,
    File,
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
from app.conversation.typed import Content

SIGNALS = Path(os.environ.get("PARLEY_TEST_SIGNALS", "."))


def wait_for(name: str, *, seconds: float = 60.0) -> None:
    """Return once the test has made that file."""
    deadline = time.monotonic() + seconds
    while not (SIGNALS / name).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(name)
        time.sleep(0.005)


def stand_still(seconds: float) -> None:
    """What a bot must never do."""
    time.sleep(seconds)


async def parrot(chat: Chat) -> None:
    """Says each part of the message, parted by `|`, as a message of its own."""
    for part in chat.message.text.split("|"):
        await chat.say(part or f"({chat.message.kind} {chat.message.payload})")


async def measures(chat: Chat) -> None:
    """Says how long the text is."""
    await chat.say(f"{len(chat.message.text)} characters")


async def asks_five(chat: Chat) -> None:
    """Asks five questions and says all answers."""
    answers = [await chat.ask(f"Question {number}?") for number in range(1, 6)]
    await chat.say("Answers: " + " ".join(answers))


def work(name: str, idempotency_key: str) -> dict[str, str]:
    """Leaves a line with its key, waits for the test to let it go, gives back what it made."""
    with (SIGNALS / f"{name}.begun").open("a") as file:
        file.write(idempotency_key + "\n")
    wait_for(f"{name}.go")
    return {"made": f"by {len((SIGNALS / f'{name}.begun').read_text().splitlines())}"}


async def works(chat: Chat) -> None:
    """Runs a step that takes as long as the test likes, and says its result twice."""
    await chat.say("One moment…")
    found = await chat.step(work, chat.message.text)
    await chat.say(f"Live: {found['made']}")
    await chat.receive()
    await chat.say(f"Replayed: {found['made']}")


def hang(name: str, idempotency_key: str) -> dict[str, str]:
    """Hangs the first time, for longer than any test."""
    with (SIGNALS / f"{name}.begun").open("a") as file:
        file.write(idempotency_key + "\n")
    times = len((SIGNALS / f"{name}.begun").read_text().splitlines())
    if times == 1:
        time.sleep(120)
    return {"made": f"by {times}"}


async def hangs(chat: Chat) -> None:
    """Runs a step that hangs the first time."""
    found = await chat.step(hang, chat.message.text)
    await chat.say(f"Live: {found['made']}")


async def works_later(chat: Chat) -> None:
    """Asks first, so that its run is open by the time of its step."""
    word = await chat.ask("What?")
    await chat.step(work, word)
    await chat.say("Done.")


async def counts(chat: Chat) -> None:
    """Counts the dialogs and the messages of the session."""
    chat.session["dialogs"] = chat.session.get("dialogs", 0) + 1
    chat.session["messages"] = chat.session.get("messages", 0) + 1
    await chat.say(f"dialog {chat.session['dialogs']}, message {chat.session['messages']}")
    await chat.receive()
    chat.session["messages"] += 1
    await chat.say(f"dialog {chat.session['dialogs']}, message {chat.session['messages']}")


async def holds(chat: Chat) -> None:
    """Stands still within its turn, with the whole worker, until the test lets it go."""
    name = chat.message.text
    (SIGNALS / f"{name}.begun").touch()
    wait_for(f"{name}.go", seconds=2.0)
    await chat.say(f"held {name}")


async def poison(chat: Chat) -> None:
    """Kills its worker: `block` never returns, `exit` ends the process; until the test has healed it."""
    text = chat.message.text
    if text in ("block", "exit") and not (SIGNALS / "healed").exists():
        with (SIGNALS / f"{text}.deaths").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if text == "exit":
            os._exit(9)
        stand_still(60)
    await chat.say(f"survived {text}")


async def greets(chat: Chat) -> None:
    """Speaks first where it may."""
    if chat.message.kind == "start":
        user = (chat.message.data or {}).get("user") or {}
        await chat.say(f"Welcome {user.get('name')}")
        await chat.receive()
    await chat.say(f"You wrote {chat.message.text}")


async def tells_worker(chat: Chat) -> None:
    """Says which process answers."""
    await chat.say(f"{chat.message.text} by {os.getpid()}")


async def gives_up(chat: Chat) -> None:
    """Waits three seconds for an answer."""
    await chat.say("Still there?")
    try:
        await chat.receive(timeout=3)
    except TimeoutError:
        await chat.say("Bye.")


async def hands_over(chat: Chat) -> None:
    """Hands over, says how that ended, and goes on."""
    await chat.say("One moment…")
    outcome = await chat.handover(summary="wants a person", properties={"intent": "refund"})
    said = " | ".join(f"{message.author}: {message.text}" for message in outcome.messages)
    await chat.say(f"{outcome.status} [{said}]")
    answer = await chat.receive()
    await chat.say(f"Back with {answer.text}")


async def cares(chat: Chat) -> None:
    """Has a handler for everything; closes the handover when the user has been silent twice."""

    async def queued(chat: Chat) -> None:
        await chat.say("You are in the queue.")

    async def active(chat: Chat) -> None:
        await chat.say("be gentle", to="agent")

    async def inactive(chat: Chat, count: int) -> None:
        if count == 1:
            await chat.say("Still there?")
        else:
            await chat.close_handover()

    outcome = await chat.handover(
        cancel_when=lambda text: text == "never mind",
        on_queued=queued,
        on_active=active,
        on_inactive=inactive,
    )
    await chat.say(f"{outcome.status}: {outcome.reason}")


async def fails(chat: Chat) -> None:
    """Can't go on."""
    raise RuntimeError


async def says_nothing(chat: Chat) -> None:
    """Takes messages and never answers."""
    while True:
        await chat.receive()


async def shows(chat: Chat) -> None:
    """Thinks, visibly, as long as the test likes."""
    name = chat.message.text
    await chat.say("One moment…")
    await chat.thinking(40)
    await chat.step(work, name)
    await chat.say(f"Thought about {name}.")


_SHOP = "https://shop.example"
_TILES = [Tile("Margherita", "Tomato", f"{_SHOP}/1.png", [Postback("Take it", "m")]), Tile("Funghi")]
SHOWN: dict[str, str | Content] = {
    "text": "Plain.",
    "long text": "A sentence of some words. " * 300,
    "markdown": Markdown("# Menu\n**Bold** and [two](https://shop.example/2)"),
    "buttons": Buttons("Now?", [Postback("Order", "order"), Link("Prices", _SHOP), Phone("Call", "+41 1")]),
    "list": ListMessage(_TILES, "Our pizzas"),
    "gallery": Gallery(_TILES),
    "image": Image(f"{_SHOP}/1.png", "A pizza"),
    "audio": Audio(f"{_SHOP}/1.mp3", "A song"),
    "video": Video(f"{_SHOP}/1.mp4", "A film"),
    "file": FileLink(f"{_SHOP}/menu.pdf", "menu.pdf"),
    "location": Location(47.3769, 8.5417, "Shop"),
    "card": Card(
        {
            "type": "AdaptiveCard",
            "version": "1.3",
            "body": [{"type": "TextBlock", "text": "Order 7"}],
            "actions": [{"type": "Action.Submit", "title": "Send", "data": {"order": 7}}],
        }
    ),
    "template": Template("It ships.", {"name": "shipped"}),
}


async def rich(chat: Chat) -> None:
    """Shows what it is asked for; of anything else it says what it got, with quick replies."""
    message = chat.message
    if message.text in SHOWN:
        await chat.say(SHOWN[message.text])
        message = await chat.receive()
    got = {"kind": message.kind, "text": message.text, "payload": message.payload, "data": dict(message.data)}
    await chat.say(json.dumps(got, sort_keys=True), quick_replies=["Yes", "No"])


async def sends_files(chat: Chat) -> None:
    """Sends the file that the test has put into the folder of signals, and says what is wrong with it."""
    name = chat.message.text
    try:
        await chat.say(f"Here is {name}.", attachments=[File(SIGNALS / name)])
    except BotError as error:
        await chat.say(str(error))
    await chat.receive()
    await chat.say("More?")
