"""The example scenarios, played as a bot's author plays them; and one made of a stored conversation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.acceptance.running import NO_PREFECT, Parley

pytestmark = pytest.mark.timeout(300)

FOLDER = Path(__file__).parents[2] / "flows/bots/scenarios"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_an_example_passes(parley: Parley, path: Path) -> None:
    done = parley.run("sandbox", "play", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("1 passed, 0 failed\n")


def test_the_two_lines_of_ci(tmp_path: Path) -> None:
    """`parley up &`, then `play --wait`, with less patience than a worker needs to start."""
    scenario = tmp_path / "impatient.yaml"
    scenario.write_text(
        "endpoint: echo\npatience: 1.5\nsteps: [{user: Good morning}, {bot: 'You said: Good morning'}]\n"
    )
    parley = Parley(tmp_path / "up", NO_PREFECT)
    try:
        parley.start()
        done = parley.run("sandbox", "play", "--wait", "110", str(scenario))
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        parley.kill_everything()


def test_a_stored_conversation_can_be_played_again(parley: Parley, tmp_path: Path) -> None:
    """Until something is left out of it: then it fails."""
    handover = FOLDER / "orders_handover.yaml"
    assert parley.run("sandbox", "play", str(handover)).returncode == 0
    listed = json.loads(parley.run("conversations", "list", "--endpoint", "orders", "--json").stdout)
    exported = tmp_path / "exported.yaml"
    newest = str(listed[0]["id"])
    assert parley.run("conversations", "export", newest, "--as-scenario", "-o", str(exported)).returncode == 0
    text = exported.read_text()
    assert "Grace" not in text and "agent-7" not in text
    done = parley.run("sandbox", "play", str(exported))
    assert done.returncode == 0, done.stdout + done.stderr

    exported.write_text(re.sub("shipped on 3 March", "shipped on 4 March", text))
    done = parley.run("sandbox", "play", str(exported))
    assert done.returncode == 1
    assert "+ Order A-1001 (a desk lamp) was shipped on 3 March." in done.stdout
