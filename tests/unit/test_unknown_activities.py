"""Activities that 8x8 does not document: a bot may see them, but nobody has answered by one."""

from __future__ import annotations

from typing import Any

from app.bot import Chat, Message
from app.conversation.chosen import as_choice
from app.conversation.content import output
from app.testing import converse
from tests.unit.driving import entry, user

DELIVERED = Message(kind="activity", data={"name": "message/delivered", "value": {}})


async def counts(chat: Chat) -> None:
    count = await chat.ask("How many?", parse=int, retry="A number, please.", attempts=2, timeout=60)
    await chat.say(f"{count} it is, said by {chat.message.kind}.")


def test_an_activity_is_no_answer_and_uses_up_no_attempt() -> None:
    talk = converse(counts)
    talk.says("hi")
    assert [talk.sends(DELIVERED) for _ in range(3)] == [[], [], []]
    assert talk.says("2")[0].text == "2 it is, said by text."


def test_an_activity_does_not_begin_the_wait_for_an_answer_anew() -> None:
    async def patient(chat: Chat) -> None:
        try:
            await chat.ask("Well?", timeout=60)
        except TimeoutError:
            await chat.say("Too late.")

    talk = converse(patient)
    talk.says("hi")
    talk.waits(40)
    talk.sends(DELIVERED)
    assert talk.timeout == 20
    assert talk.waits(19) == []
    assert talk.waits(1)[0].text == "Too late."


def test_receive_gets_an_activity() -> None:
    async def watches(chat: Chat) -> None:
        message = await chat.receive()
        await chat.say(f"{message.kind} {message.data['name']}")

    talk = converse(watches)
    talk.says("hi")
    assert talk.sends(DELIVERED)[0].text == "activity message/delivered"


def test_an_activity_starts_no_dialog() -> None:
    async def parrot(chat: Chat) -> None:
        await chat.say(f"got {chat.message.kind}")

    talk = converse(parrot)
    talk.says("hi")
    assert talk.sends(DELIVERED) == []
    assert talk.finished


def test_a_number_is_still_the_choice_that_was_shown_before_an_activity() -> None:
    offer = entry("output", output("Which size?", ["Small", "Large"], None, None))
    delivered = entry("input", {"message": DELIVERED.to_json()})
    written: dict[str, Any] = {"kind": "text", "text": "2", "payload": None, "data": None, "attachments": []}
    taken = as_choice(written, [user("hi"), offer, delivered], "WhatsApp")
    assert (taken["kind"], taken["text"]) == ("quick_reply", "Large")
