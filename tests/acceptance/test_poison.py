"""Bots that kill their workers are set aside, everybody else is answered, and ops can bring them back."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.running import eventually
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
            other.texts(len(said), within=100)
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


#: What can't be stored, whatever the bot does.
CURSE = (
    """
    CREATE OR REPLACE FUNCTION test_curse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM conversation WHERE id = NEW.conversation_id AND external_id LIKE 'cursed-%')
        THEN RAISE EXCEPTION 'cursed' USING ERRCODE = '22023';
        END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER test_curse BEFORE INSERT ON delivery FOR EACH ROW EXECUTE FUNCTION test_curse()",
)


def test_a_conversation_that_cannot_be_stored_is_tried_ever_more_slowly_and_then_quarantined(
    stage: Stage,
) -> None:
    def failures() -> int:
        return stage.parley.logged_since(logged).count("conversation_failed")

    talk, other = stage.talk("parrot", id="cursed-1"), stage.talk("parrot")
    logged = len(stage.parley.errors.encode())
    for statement in CURSE:
        stage.rows(statement)
    try:
        begun = time.monotonic()
        talk.say("unheard")
        eventually(lambda: talk.column("deaths") == 4, within=90, what="four failures")
        assert failures() == 4
        assert time.monotonic() - begun > 0.25 + 0.5 + 1
        other.say("heard")
        other.said("heard")
    finally:
        stage.rows("DROP TRIGGER test_curse ON delivery")
    talk.said("Sorry, something went wrong on our side. Please try again.")
    assert talk.column("quarantined_at") is not None
    talk.say("and now?")
    assert talk.texts(2)[1] == "and now?"
