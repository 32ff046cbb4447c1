"""How commands say how many there are."""

from __future__ import annotations

from app.commands.common import counted


def test_one_is_not_told_as_many() -> None:
    assert [counted(number, "contact") for number in (0, 1, 2)] == ["0 contacts", "1 contact", "2 contacts"]
    assert counted(1, "dead delivery", "dead deliveries") == "1 dead delivery"
    assert counted(5, "dead delivery", "dead deliveries") == "5 dead deliveries"
