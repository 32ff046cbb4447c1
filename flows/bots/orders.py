"""An order-status assistant: asks for a number, looks the order up, offers a person.

The orders stand in a small SQLite database made when a step first needs it: a step is where a bot reads
files, databases and the network.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any

from app.bot import Chat, NoAnswer, QuickReply, StepFailed

ANOTHER = QuickReply("Another order", "another")
PERSON = QuickReply("Talk to a person", "person")
THANKS = QuickReply("Thanks", "thanks")
QUEUE = "101"
PATIENCE = 15 * 60  # seconds until we stop waiting for what comes after an answer


async def orders(chat: Chat) -> None:
    """Tell the state of one order after the other, until the user has what they wanted."""
    chat.session["visits"] = chat.session.get("visits", 0) + 1
    await chat.say(greeting(chat))
    while True:
        try:
            number = await chat.ask(
                "What is your order number? It looks like A-1001.",
                parse=order_number,
                retry="That does not look like an order number. It is a letter and four digits.",
            )
        except NoAnswer:
            await chat.say("Let me get you to someone who can find it.")
            return await person(chat, "The user could not give an order number.")
        try:
            order = await chat.step(find_order, number)
        except StepFailed:
            await chat.say("I can't look into our orders at the moment.")
            return await person(chat, f"Order {number} could not be looked up.")
        chat.session["last_order"] = number
        await chat.say(status(number, order), quick_replies=[ANOTHER, PERSON, THANKS])
        if not await more(chat, number):
            return None


async def more(chat: Chat, number: str) -> bool:
    """What the user wants next: True for another order."""
    try:
        answer = await chat.receive(timeout=PATIENCE)
    except TimeoutError:
        return False  # nothing to say: they have their answer
    choice = answer.payload or answer.text.strip().lower()
    if choice == "another":
        return True
    if choice in ("person", "talk to a person"):
        await person(chat, f"Asked about order {number}.")
    else:
        await chat.say("You're welcome. Have a good day!")
    return False


async def person(chat: Chat, summary: str) -> None:
    """Hand over, and say how that went where nobody came."""
    outcome = await chat.handover(
        QUEUE,
        message="Connecting you with a colleague…",
        properties={"last_order": chat.session.get("last_order", "none")},
        summary=summary,
    )
    if outcome.status in ("failed", "timed_out"):
        await chat.say("Nobody is free right now. Please try again later.")


def greeting(chat: Chat) -> str:
    """Hello, by name and from the second visit on with pleasure."""
    name = chat.contact.get("name")
    hello = f"Hello {name}" if name else "Hello"
    return f"{hello}, good to see you again." if chat.session["visits"] > 1 else f"{hello}."


def order_number(text: str) -> str:
    """The order number in a text; ValueError when there is none."""
    found = re.search(r"\b([A-Za-z])[- ]?(\d{4})\b", text)
    if found is None:
        raise ValueError("no order number")
    return f"{found[1].upper()}-{found[2]}"


def status(number: str, order: dict[str, Any] | None) -> str:
    """What we know of an order, in a sentence."""
    if order is None:
        return f"I can't find an order {number}."
    if order["shipped"]:
        return f"Order {number} ({order['item']}) was shipped on {order['date']}."
    return f"Order {number} ({order['item']}) ships on {order['date']}."


def find_order(number: str) -> dict[str, Any] | None:
    """The order with this number, from the database."""
    with closing(_database()) as database:
        row = database.execute(
            "SELECT item, date, shipped FROM orders WHERE number = ?", (number,)
        ).fetchone()
    return None if row is None else {"item": row[0], "date": row[1], "shipped": bool(row[2])}


def _database() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE orders (number TEXT PRIMARY KEY, item TEXT, date TEXT, shipped INTEGER)")
    database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", _ORDERS)
    return database


_ORDERS = [
    ("A-1001", "a desk lamp", "3 March", 1),
    ("A-1002", "two chairs", "9 March", 0),
    ("B-2001", "a bookshelf", "21 March", 0),
]
