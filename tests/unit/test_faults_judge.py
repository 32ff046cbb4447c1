"""The judge of `make faults` sees each kind of violation, and explains a second copy only where it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from app.sandbox.schema import MessageView, WebhookView
from tests.faults.judge import Verdict, judge
from tests.faults.ledger import Attempt, Delivery, Event, Ledger
from tests.faults.troubles import Happened

SECOND = 1_000_000_000
TALK = "talk-1"


@dataclass
class Books:
    """A run in which all went well: three messages of one user, each answered by the script."""

    webhooks: list[WebhookView] = field(default_factory=list)
    messages: list[MessageView] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    happened: list[Happened] = field(default_factory=list)
    wrote: int = 3

    @property
    def verdict(self) -> Verdict:
        """What the judge says, of the messages in the order in which they arrived."""
        messages = sorted(self.messages, key=lambda message: message.arrived_ns)
        return judge(self.webhooks, messages, self.ledger, self.happened, users_wrote=self.wrote)

    @property
    def replies(self) -> list[Delivery]:
        """The deliveries, in their order."""
        return self.ledger.deliveries[TALK]

    @property
    def arrived(self) -> list[MessageView]:
        """What the bot's user sees."""
        return [message for message in self.messages if message.author_type == "bot"]

    def arrives(self, text: str, at: float, talk: str = TALK) -> None:
        """A message of the bot arrives."""
        self.messages.append(message("bot", text, at, talk))

    def attempts(self, reply: int, *attempts: Attempt) -> None:
        """This reply was tried so."""
        self.replies[reply] = replace(self.replies[reply], attempts=attempts)


def message(who: str, text: str, at: float, talk: str = TALK) -> MessageView:
    return MessageView(
        seq=int(at * 1000),
        id=f"{who} {text} {at}",
        conversation=talk,
        author_type=who,
        author_id=who,
        text=text,
        attachments=[],
        cards=[],
        created_at=0,
        arrived_ns=int(at * SECOND),
    )


def attempt(outcome: str, at: float, took: float = 0.02) -> Attempt:
    return Attempt(outcome, int(at * SECOND), int((at + took) * SECOND))


def webhook(event: str) -> WebhookView:
    return WebhookView(
        seq=1,
        event_id=event,
        conversation=TALK,
        tenant="t",
        url="",
        event_type="MESSAGE",
        created_at=0,
        body="",
        outcome="delivered",
        retries=0,
        headers={},
        attempts=[],
        faults=[],
    )


def event(number: int, at: float) -> Event:
    name, text, ns = f"e{number}", str(number), int(at * SECOND)
    return Event(number, name, "MESSAGE", "input", True, False, TALK, text, False, ns, ns, ns + SECOND // 10)


def said(number: int, place: int) -> tuple[str, str, str]:
    return f"{number}.1 is input {place}", f"{number}.2 nothing made", "Done."


@pytest.fixture
def books() -> Books:
    books = Books()
    for number in (1, 2, 3):
        at = 100.0 + 10 * number
        books.webhooks.append(webhook(f"e{number}"))
        books.messages.append(message("user", str(number), at))
        books.ledger.events.append(event(number, at))
        books.ledger.inputs[TALK].append(number)
        for place, text in enumerate(said(number, number)):
            begun = at + 0.1 * (place + 1)
            attempts = (attempt("sent", begun),)
            books.replies.append(Delivery(len(books.replies), text, "sent", None, attempts))
            books.arrives(text, begun + 0.01)
    return books


def test_a_good_run_is_good(books: Books) -> None:
    verdict = books.verdict
    assert verdict.violations == verdict.explained == []
    assert verdict.counts["replies arrived, in order"] == 9


def _nothing_happened(books: Books) -> None:
    books.webhooks, books.messages, books.ledger, books.wrote = [], [], Ledger(), 0


def _a_message_never_reached_8x8(books: Books) -> None:
    books.wrote = 4


def _an_event_is_lost(books: Books) -> None:
    del books.ledger.events[1]
    books.ledger.inputs[TALK].remove(2)


def _an_event_is_stored_twice(books: Books) -> None:
    books.ledger.events.append(replace(books.ledger.events[1], id=9))


def _an_event_is_not_handled(books: Books) -> None:
    books.ledger.events[1] = replace(books.ledger.events[1], handled=False)


def _an_input_is_given_twice(books: Books) -> None:
    books.ledger.inputs[TALK].append(2)


def _inputs_change_places(books: Books) -> None:
    books.ledger.inputs[TALK] = [1, 3, 2]


def _inputs_change_places_and_are_called_late(books: Books) -> None:
    books.ledger.inputs[TALK] = [3, 2, 1]
    books.ledger.events = [
        replace(each, late=True, processed=(200 - each.id) * SECOND) for each in books.ledger.events
    ]
    replies = [text for place, number in enumerate((3, 2, 1), 1) for text in said(number, place)]
    for place, text in enumerate(replies):
        books.replies[place] = replace(books.replies[place], text=text)
    for message, text in zip(books.arrived, replies, strict=True):
        books.messages[books.messages.index(message)] = replaced(message, text)


def replaced(view: MessageView, text: str) -> MessageView:
    return message("bot", text, view.arrived_ns / SECOND)


def _the_bot_says_too_little(books: Books) -> None:
    del books.replies[4]
    books.messages.remove(books.arrived[4])


def _a_reply_never_arrives(books: Books) -> None:
    books.messages.remove(books.arrived[3])


def _one_of_the_same_replies_never_arrives(books: Books) -> None:
    books.messages.remove(books.arrived[2])


def _the_last_reply_never_arrives(books: Books) -> None:
    books.messages.remove(books.arrived[-1])


def _two_replies_change_places(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1, 0.01))
    books.messages.remove(books.arrived[0])
    books.arrives("1.1 is input 1", 110.25)


def _a_reply_is_not_sent(books: Books) -> None:
    books.replies[0] = replace(books.replies[0], status="dead", reason="too old")


def _it_arrives_twice_by_one_attempt(books: Books) -> None:
    books.arrives("1.1 is input 1", 110.115)


def _the_client_sends_a_request_twice(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1), attempt("sent", 116.0))
    books.messages.remove(books.arrived[0])
    for at in (110.11, 110.3, 116.01):
        books.arrives("1.1 is input 1", at)


def _it_is_sent_again_at_once(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1), attempt("sent", 110.6))
    books.arrives("1.1 is input 1", 110.61)


def _it_is_sent_again_without_reading(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1), attempt("sent", 113.6))
    books.arrives("1.1 is input 1", 113.61)


def _it_is_sent_again_though_it_was_answered(books: Books) -> None:
    books.attempts(0, attempt("sent", 110.1), attempt("sent", 114.6))
    books.arrives("1.1 is input 1", 114.61)


def _two_attempts_bring_four_copies(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1), attempt("sent", 114.6))
    for at in (110.2, 110.3, 114.61):
        books.arrives("1.1 is input 1", at)


def _another_reply_of_the_same_text_arrives_twice(books: Books) -> None:
    books.attempts(2, attempt("in_doubt", 110.3, 0.005), attempt("sent", 114.4))
    books.messages.remove(books.arrived[2])
    books.arrives("Done.", 114.41)
    books.arrives("Done.", 130.9)


def _one_is_lost_and_a_copy_of_another_stands_in_its_place(books: Books) -> None:
    books.attempts(2, attempt("in_doubt", 110.3), attempt("sent", 115.0))
    books.attempts(5, attempt("in_doubt", 120.3, 0.01))
    books.messages.remove(books.arrived[5])
    books.arrives("Done.", 115.01)


def _something_arrives_that_nobody_sent(books: Books) -> None:
    books.arrives("1.1 is input 1", 140.0, talk="talk-2")


def _a_line_of_the_transcript_is_doubled(books: Books) -> None:
    books.ledger.transcript_twice = 1


def _a_conversation_is_quarantined(books: Books) -> None:
    books.ledger.incidents = {"quarantined": 1}


def _a_step_never_runs(books: Books) -> None:
    asks_for_a_step(books)


def asks_for_a_step(books: Books) -> None:
    """The second message asks for a step."""
    books.messages = [
        replaced_user(each) if (each.author_type, each.text) == ("user", "2") else each
        for each in books.messages
    ]
    books.ledger.events[1] = replace(books.ledger.events[1], text="2 step")
    books.replies[4] = replace(books.replies[4], text="2.2 made 2")
    old = next(each for each in books.arrived if each.text == "2.2 nothing made")
    books.messages[books.messages.index(old)] = replaced(old, "2.2 made 2")


def replaced_user(view: MessageView) -> MessageView:
    return message("user", "2 step", view.arrived_ns / SECOND)


def _a_step_runs_with_two_keys(books: Books) -> None:
    asks_for_a_step(books)
    books.happened.append(Happened("worker", 0, 1, 1))
    books.ledger.steps = ["2 key-a", "2 key-b"]


def _a_step_runs_again_though_nothing_crashed(books: Books) -> None:
    asks_for_a_step(books)
    books.ledger.steps = ["2 key-a", "2 key-a"]


VIOLATIONS: list[Callable[[Books], None]] = [
    each for name, each in list(globals().items()) if name.startswith("_") and not name.startswith("__")
]


@pytest.mark.parametrize("doctor", VIOLATIONS, ids=lambda doctor: doctor.__name__.strip("_"))
def test_each_violation_is_seen(books: Books, doctor: Callable[[Books], None]) -> None:
    doctor(books)
    assert books.verdict.violations


def test_a_step_may_run_again_after_a_crash(books: Books) -> None:
    asks_for_a_step(books)
    books.happened.append(Happened("worker", 0, 1, 1))
    books.ledger.steps = ["2 key-a", "2 key-a"]
    assert not books.verdict.violations


def test_a_second_copy_is_explained_where_the_first_could_not_be_read_in_time(books: Books) -> None:
    books.attempts(0, attempt("in_doubt", 110.1, 0.005), attempt("sent", 114.6))
    books.messages[:] = [each for each in books.messages if each is not books.arrived[0]]
    books.arrives("1.1 is input 1", 110.11)
    books.arrives("1.1 is input 1", 114.61)
    assert books.verdict.violations
    begun, ended = 109 * SECOND, 116 * SECOND
    books.happened.append(Happened("read-back-too-late", begun, ended, 3))
    assert len(books.verdict.explained) == 1
    assert not [each for each in books.verdict.violations if "arrived twice" in each]


def test_a_message_that_was_overtaken_on_its_way_may_be_late(books: Books) -> None:
    late = replace(books.ledger.events[0], late=True, at=95 * SECOND)
    overtaker = replace(books.ledger.events[1], id=4, event_id="echo", echo=True, text="x", at=96 * SECOND)
    books.ledger.events[0] = late
    assert books.verdict.violations
    books.ledger.events.append(replace(overtaker, received=96 * SECOND, processed=97 * SECOND))
    assert not books.verdict.violations


def test_books_say_which_of_equal_replies_is_missing(books: Books) -> None:
    _one_is_lost_and_a_copy_of_another_stands_in_its_place(books)
    assert any("reply 5 ('Done.') never arrived" in each for each in books.verdict.violations)
