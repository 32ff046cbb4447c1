"""Bots that kill their workers are set aside, everybody else is answered, and ops can bring them back."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.stage import Stage

pytestmark = pytest.mark.timeout(240)


def test_a_bot_that_blocks_and_one_that_exits_are_quarantined_and_all_others_are_answered(
    stage: Stage,
) -> None:
    blocks, exits = stage.talk("poison"), stage.talk("poison")
    others = [stage.talk("parrot") for _ in range(5)]
    blocks.say("block")
    exits.say("exit")
    said: list[str] = []
    deadline = time.monotonic() + 180
    while not (blocks.column("quarantined_at") and exits.column("quarantined_at")):
        assert time.monotonic() < deadline, (blocks.column("deaths"), exits.column("deaths"))
        said.append(f"word {len(said)}")
        for other in others:
            other.say(said[-1])
        for other in others:
            other.texts(len(said), within=60)
    for other in others:
        other.said(*said)

    for talk, name in ((blocks, "block"), (exits, "exit")):
        talk.said("We are sorry.")
        # One that only stood beside the other's first death is blamed for that, never for a second.
        assert 2 <= len((stage.signals / f"{name}.deaths").read_text().splitlines()) <= 3
        incident = "SELECT detail FROM incident WHERE conversation_id = $1 AND kind = 'quarantined'"
        assert stage.value(incident, talk.number) is not None
        talk.say("hello")
        talk.said("We are sorry.", "survived hello")

    stage.signal("healed")
    redriven = stage.parley.run("conversations", "redrive", blocks.id, str(exits.number))
    assert redriven.returncode == 0, redriven.stderr
    assert redriven.stdout.splitlines() == [
        f"{blocks.id}: 1 events wait again",
        f"{exits.number}: 1 events wait again",
    ]
    blocks.said("We are sorry.", "survived hello", "survived block")
    exits.said("We are sorry.", "survived hello", "survived exit")
    assert blocks.column("quarantined_at") is None
    resolved = "SELECT resolved_at FROM incident WHERE conversation_id = $1 AND kind = 'quarantined'"
    assert stage.value(resolved, blocks.number) is not None

    again = stage.parley.run("conversations", "redrive", blocks.id)
    assert again.returncode == 2 and "not quarantined" in again.stderr
    blocks.said("We are sorry.", "survived hello", "survived block")
