"""Whether a message arrived, as far as a list of messages without ids can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.conversation.readback import Known, arrived, window


@pytest.mark.parametrize(
    ("there", "sent", "doubtful", "expected"),
    [
        (["a"], [], "a", True),
        ([], [], "a", False),
        (["a"], ["a"], "a", False),
        (["a", "a"], ["a"], "a", True),
        (["a", "b"], ["a"], "b", True),
        (["a"], ["a"], "b", False),
        (["a &amp; b"], [], "a & b", True),  # 8x8 changed the text: the number decides
        (["x", "y"], ["a"], "b", True),
        (["x"], ["a"], "b", False),
        (["a", "  b "], ["a"], "b", True),
    ],
)
def test_one_more_than_was_sent_is_the_one_in_doubt(
    there: list[str], sent: list[str], doubtful: str, expected: bool
) -> None:
    assert arrived(there, sent, doubtful) is expected


def test_a_second_copy_of_an_earlier_message_is_not_the_one_in_doubt() -> None:
    assert arrived(["a", "a", "b"], ["a", "b"], "c") is False
    assert arrived(["a", "a", "b", "c"], ["a", "b"], "c") is True


def test_a_message_from_before_the_stretch_is_not_the_one_in_doubt() -> None:
    assert arrived(["old", "a"], ["a"], "b") is True  # a changed text, as far as anybody knows
    assert arrived(["old", "a"], ["a"], "b", earlier=["old"]) is False
    assert arrived(["old", "a", "B"], ["a"], "b", earlier=["old"]) is True


def test_a_second_copy_is_not_taken_for_a_later_message_that_says_the_same() -> None:
    assert arrived(["Done.", "Done.", "a", "b"], ["Done.", "a", "b"], "Done.") is False
    assert arrived(["Done.", "Done.", "a", "b", "Done."], ["Done.", "a", "b"], "Done.") is True


def test_a_list_in_which_known_messages_are_missing_tells_nothing() -> None:
    assert arrived([], ["a"], "b") is None
    assert arrived(["a"], ["a", "a"], "a") is None
    assert arrived(["a", "a"], ["a", "a", "b"], "c") is None
    assert arrived(["b"], ["a"], "b") is True  # it is there, whatever else isn't


@given(st.lists(st.sampled_from("abc"), max_size=8), st.sampled_from("abc"))
def test_where_all_is_shown_once_and_in_order_there_is_no_doubt_left(sent: list[str], doubtful: str) -> None:
    assert arrived([*sent, doubtful], sent, doubtful) is True
    assert arrived(sent, sent, doubtful) is False


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_messages_are_compared_from_a_pause_on() -> None:
    before = [Known("a", at(-30), at(-30)), Known("b", at(-8), at(-8)), Known("c", at(-1), at(-1))]
    assert window(NOON, before) == (at(-13), ["b", "c"])
    assert window(NOON, []) == (at(-5), [])


def test_one_that_was_in_doubt_for_a_while_may_have_arrived_at_the_beginning_of_it() -> None:
    before = [Known("a", at(-19), at(-17)), Known("b", at(-16), at(-5))]
    assert window(NOON, before) == (at(-24), ["a", "b"])


def test_where_only_the_newest_are_shown_older_ones_are_not_missed() -> None:
    before = [Known("a", at(-3), at(-3)), Known("b", at(-2), at(-2))]
    assert window(NOON, before, shown_from=at(-2.5)) == (at(-2.5), ["b"])
