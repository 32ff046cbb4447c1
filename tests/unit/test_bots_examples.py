"""The example bots, as a user meets them."""

from __future__ import annotations

import pytest

from app.conversation.message import Attachment
from app.testing import Talk, converse
from flows.bots.echo import echo
from flows.bots.orders import find_order, order_number, orders


def texts(talk: Talk) -> list[str | None]:
    return [reply.text for reply in talk.replies]


def test_echo_says_what_it_hears_and_counts() -> None:
    talk = converse(echo)
    assert [reply.text for reply in talk.says("hello")] == ["You said: hello"]
    assert [reply.text for reply in talk.says("again")] == ["You said: again"]
    assert talk.session == {"messages": 2}


def test_echo_names_files_and_survives_silence_and_long_texts() -> None:
    talk = converse(echo)
    assert talk.says("", attachments=[Attachment(name="a.png")])[0].text == "You sent a.png."
    assert "say it back" in (talk.says("")[0].text or "")
    assert len(talk.says("x" * 20_000)[0].text or "") < 10_000


def test_orders_finds_an_order_and_says_goodbye() -> None:
    talk = converse(orders, contact={"name": "Ada"})
    hello, question = talk.says("hi")
    assert hello.text == "Hello Ada."
    assert "order number" in (question.text or "")
    [answer] = talk.says("it is a 1002, I think")
    assert answer.text == "Order A-1002 (two chairs) ships on 9 March."
    assert answer.quick_replies == ("Another order", "Talk to a person", "Thanks")
    assert "welcome" in (talk.clicks("Thanks")[0].text or "")
    assert talk.finished
    assert "again" in (talk.says("hi")[0].text or "")
    assert talk.session == {"visits": 2, "last_order": "A-1002"}


def test_orders_looks_up_one_order_after_the_other() -> None:
    talk = converse(orders)
    talk.says("hi")
    talk.says("A-1001")
    talk.clicks("Another order")
    [answer] = talk.says("Z-9999")
    assert answer.text == "I can't find an order Z-9999."


def test_orders_hands_over_when_asked_with_what_it_knows() -> None:
    talk = converse(orders)
    talk.says("hi")
    talk.says("B-2001")
    talk.clicks("Talk to a person")
    assert talk.handover is not None
    assert talk.handover["queue"] == "101"
    assert talk.handover["properties"] == {"last_order": "B-2001"}
    assert talk.handed_over() == []
    assert talk.finished


def test_orders_hands_over_after_three_answers_it_can_not_read() -> None:
    talk = converse(orders)
    talk.says("hi")
    assert "does not look like" in (talk.says("no idea")[0].text or "")
    talk.says("really")
    assert "someone who can find it" in (talk.says("none")[0].text or "")
    assert talk.handover is not None
    assert "Nobody is free" in (talk.handed_over("timed_out")[0].text or "")


def test_orders_hands_over_when_the_look_up_fails() -> None:
    def broken(number: str) -> None:
        raise ConnectionError(number)

    talk = converse(orders, steps={"find_order": broken})
    talk.says("hi")
    assert "can't look into" in (talk.says("A-1001")[0].text or "")
    assert talk.handover is not None


def test_orders_stops_waiting_quietly() -> None:
    talk = converse(orders)
    talk.says("hi")
    talk.says("A-1001")
    assert talk.waits(14 * 60) == []
    assert talk.waiting
    assert talk.waits(60) == []
    assert talk.finished


def test_order_numbers_are_found_in_free_text() -> None:
    assert order_number("my order (a-1001)") == "A-1001"
    with pytest.raises(ValueError):
        order_number("12")


def test_the_order_table_is_really_looked_up() -> None:
    assert find_order("A-1001") == {"item": "a desk lamp", "date": "3 March", "shipped": True}
    assert find_order("A-9999") is None
