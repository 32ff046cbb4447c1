"""The user at a terminal, with a pipe for a keyboard, and a bot that answers over REST."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox import calls
from app.sandbox.cardtext import lines
from app.sandbox.chat import chat
from app.sandbox.schema import CardView
from tests.sandbox_bench import Bench, Hook, bench_running

QUICK = "application/8x8.quick.replies"
ADAPTIVE = "application/vnd.microsoft.card.adaptive"


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def answer_with(bench: Bench, reply: Any) -> None:
    """A bot: for each thing the user does, `reply(event data)` gives the messages to send."""

    def answer(hook: Hook) -> int:
        event = hook.event
        data = event.get("data", {})
        if event["eventType"] in ("MESSAGE", "ACTIVITY") and not data.get("isEcho"):
            url = f"/chat-gateway/v1/conversations/{event['conversationId']}/messages"
            for message in reply(data):
                body = {"authorType": "bot", **message}
                bench.http.post(url, json=body).raise_for_status()
        return 200

    bench.sink.answer = answer


def talk(bench: Bench, typed: str, **options: Any) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = chat(bench.url, stdin=io.StringIO(typed), stdout=out, settle=0.2, **options)
    return code, out.getvalue().splitlines()[1:]


def test_each_line_gets_its_replies(bench: Bench) -> None:
    answer_with(bench, lambda data: [{"text": f"You said {data['text']}"}, {"text": "And?"}])
    code, shown = talk(bench, "hello\n\nbye\n")
    assert code == 0
    assert shown == [
        "> hello",
        "bot: You said hello",
        "bot: And?",
        "> bye",
        "bot: You said bye",
        "bot: And?",
    ]


def test_a_number_picks_a_quick_reply(bench: Bench) -> None:
    def reply(data: dict[str, Any]) -> list[dict[str, Any]]:
        if data.get("name") == "quickReply/action":
            return [{"text": f"payload {data['value']['data']['payload']}"}]
        options = [{"title": "Yes", "data": {"postback": "y"}}, {"title": "No", "data": {"postback": "n"}}]
        return [{"text": "Sure?", "cards": [{"contentType": QUICK, "content": {"options": options}}]}]

    answer_with(bench, reply)
    code, shown = talk(bench, "hi\n2\n/quit\nnever\n")
    assert code == 0
    assert shown == ["> hi", "bot: Sure?", "  1. Yes", "  2. No", "> 2", "bot: payload n"]


def test_a_card_is_shown_as_text_and_submitted(bench: Bench) -> None:
    body = [
        {"type": "TextBlock", "text": "Rate us"},
        {"type": "Container", "items": [{"type": "Input.Text", "id": "note", "label": "Note"}]},
    ]
    card = {"type": "AdaptiveCard", "version": "1.3", "body": body, "actions": [{"type": "Action.Submit"}]}

    def reply(data: dict[str, Any]) -> list[dict[str, Any]]:
        if data.get("name") == "adaptiveCard/action":
            return [{"text": f"got {data['value']['data']}"}]
        return [{"cards": [{"contentType": ADAPTIVE, "content": card}]}]

    answer_with(bench, reply)
    code, shown = talk(bench, "hi\n/submit note=good stars=5\n")
    assert code == 0
    assert shown[1:4] == ["bot: Rate us", "bot: [note: Note]", "bot: (Submit: /submit name=value …)"]
    assert shown[-1] == "bot: got {'note': 'good', 'stars': '5'}"
    [conversation] = bench.control(calls.conversations()).conversations
    [message] = [m for m in bench.control(calls.messages(conversation.id)).messages if m.cards]
    assert message.cards[0].submitted


def test_a_file_is_sent(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_bytes(b"hello")
    answer_with(bench, lambda data: [{"text": data["attachments"][0]["fileName"]}])
    code, shown = talk(bench, f"/file {file}\n/file {tmp_path}/missing\n")
    assert code == 0
    assert "bot: note.txt" in shown
    assert shown[-1].startswith("(can't read")


def test_silence_is_reported(bench: Bench) -> None:
    code, shown = talk(bench, "hello?\n", patience=0.3)
    assert code == 1
    assert shown[-1] == "(no reply within 0.3 s)"


def test_leaving_ends_the_conversation(bench: Bench) -> None:
    talk(bench, "/quit\n")
    [conversation] = bench.control(calls.conversations()).conversations
    assert conversation.state == "idle"


def test_a_sandbox_that_is_not_there_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert chat("http://127.0.0.1:1", stdin=io.StringIO(""), stdout=io.StringIO()) == 2
    assert "No sandbox answers" in capsys.readouterr().err


def test_every_element_of_a_card_has_a_text() -> None:
    content: dict[str, object] = {
        "body": [
            {"type": "FactSet", "facts": [{"title": "Order", "value": "17"}]},
            {"type": "Image", "url": "http://x/y.png", "altText": "a cat"},
            {"type": "RichTextBlock", "inlines": ["5 * ", {"type": "TextRun", "text": "3 * 2"}]},
            {"type": "ColumnSet", "columns": [{"items": [{"type": "TextBlock", "text": "left"}]}]},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "More", "url": "http://x"}],
    }
    card = CardView("1", ADAPTIVE, content, False, False)
    assert lines(card) == ["Order: 17", "[image a cat]", "5 * 3 * 2", "left", "(More: http://x)"]
    assert lines(CardView("1", "Location", {}, False, False)) == ["[Location]"]
