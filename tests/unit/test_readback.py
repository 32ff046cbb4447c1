"""Whether a message arrived, as far as a list of messages without ids can tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.conversation.readback import arrived


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
