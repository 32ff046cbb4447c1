"""What a bot notes for those who measure: kept once, whatever is replayed or changed."""

from __future__ import annotations

from typing import Any

import pytest

from app.bot import BotError, Chat
from app.conversation import replay_check
from app.conversation.driver import DialogStart
from app.conversation.journal import Entry
from app.conversation.needs import Failed, Finished, Receive
from tests.unit.driving import START, driver, entry, said, user


async def shop(chat: Chat) -> None:
    chat.intent("order")
    answer = await chat.ask("Which one?")
    chat.understood(answer != "?")
    chat.goal("ordered")
    await chat.say("Thanks.")


def notes(entries: list[tuple[int, Entry]]) -> list[tuple[int, str | None, Any]]:
    return [(position, each.name, each.content["value"]) for position, each in entries if each.kind == "note"]


def test_marks_become_notes_at_their_places() -> None:
    with driver(shop) as driven:
        assert isinstance(driven.run(), Receive)
        assert notes(driven.drain()) == [(1, "intent", "order")]
        driven.feed(user("?"))
        assert isinstance(driven.run(), Finished)
        assert notes(driven.drain()) == [(4, "understood", "false"), (5, "goal", "ordered")]


def test_a_replay_makes_no_mark_twice_at_whichever_entry_it_begins() -> None:
    with driver(shop) as driven:
        driven.run()
        driven.feed(user("the red one"))
        driven.run()
        whole = list(driven.entries)
    for length in range(1, len(whole) + 1):
        with driver(shop, whole[:length]) as again:
            again.run()
            made = [each.kind for _, each in again.drain()]
            left = [each.kind for each in whole[length : 3 if length <= 3 else None]]
            assert made == left, f"after {length} entries"


def test_a_mark_added_to_a_bot_later_changes_nothing_in_the_past() -> None:
    stored = [user("hi"), said("Which one?"), user("a")]
    with driver(shop, stored) as driven:
        assert isinstance(driven.run(), Finished)
        assert notes(driven.drain()) == [(3, "understood", "true"), (4, "goal", "ordered")]


def test_a_stored_dialog_fits_a_bot_that_marks_more_by_now() -> None:
    async def bot(chat: Chat) -> None:
        await chat.receive()
        chat.goal("half way")
        await chat.receive()

    stored = [user("hi"), user("a")]
    found = replay_check.check(bot, DialogStart("d", 7, START), stored, status="waiting")
    assert isinstance(found, replay_check.Fits)


def test_a_mark_taken_out_of_a_bot_does_not_make_it_diverge() -> None:
    async def bare(chat: Chat) -> None:
        await chat.ask("Which one?")
        await chat.say("Thanks.")

    stored = [user("hi"), entry("note", {"value": "order"}, name="intent"), said("Which one?"), user("a")]
    with driver(bare, stored) as driven:
        assert isinstance(driven.run(), Finished)


def test_the_time_a_bot_sees_does_not_depend_on_marks() -> None:
    async def bot(chat: Chat) -> None:
        before = chat.now()
        chat.goal("asked")
        assert chat.now() == before
        await chat.receive()

    with driver(bot) as driven:
        assert isinstance(driven.run(), Receive)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0b", 7, None])
def test_a_name_that_cannot_be_kept_is_the_bots_error(name: Any) -> None:
    async def bot(chat: Chat) -> None:
        chat.intent(name)

    with driver(bot) as driven:
        need = driven.run()
        assert isinstance(need, Failed) and isinstance(need.error, BotError)


def test_understood_takes_a_bool() -> None:
    async def bot(chat: Chat) -> None:
        chat.understood("no")  # type: ignore[arg-type]  # what a careless bot does

    with driver(bot) as driven:
        assert isinstance(driven.run(), Failed)
