"""What the bot says, in 8x8's words."""

from __future__ import annotations

from app.gateway.outgoing import ADAPTIVE_CARD, QUICK_REPLIES, render


def test_a_text_is_sent_in_the_bots_name() -> None:
    assert render({"text": "hi", "quick_replies": None, "card": None, "raw": None}) == {
        "authorType": "bot",
        "text": "hi",
    }


def test_quick_replies_are_a_card_beside_the_text() -> None:
    body = render({"text": "Sure?", "quick_replies": [{"title": "Yes", "payload": "y"}, {"title": "No"}]})
    assert body["text"] == "Sure?"
    assert body["cards"] == [
        {
            "contentType": QUICK_REPLIES,
            "content": {
                "options": [
                    {"title": "Yes", "data": {"postback": "y"}},
                    {"title": "No", "data": {"postback": "No"}},
                ]
            },
        }
    ]


def test_an_adaptive_card_goes_along_with_the_text() -> None:
    card = {"type": "AdaptiveCard", "version": "1.3", "body": []}
    body = render({"text": "A card", "card": card})
    assert body == {
        "authorType": "bot",
        "text": "A card",
        "cards": [{"contentType": ADAPTIVE_CARD, "content": card}],
    }


def test_a_raw_message_is_sent_as_it_is_but_never_in_another_name() -> None:
    raw = {"authorType": "user", "text": "x", "cards": [{"contentType": "Location", "content": {"lat": 1}}]}
    assert render({"text": "ignored", "raw": raw}) == {**raw, "authorType": "bot"}
