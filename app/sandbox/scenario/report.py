"""Telling how scenarios went: for people, and as JUnit's XML for CI."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from app.sandbox.scenario.player import Played

STORY_LINES = 8


def lines(played: Played) -> list[str]:
    """How a scenario went: a line when all is well, else the step, the difference and what was said."""
    failure = played.failure
    if failure is None:
        count = len(played.file.scenario.steps)
        return [f"passed  {played.name} ({count} steps, {played.seconds:.1f} s)"]
    told = [
        f"FAILED  {played.name}",
        f"  {played.file.path}:{failure.line}: step {failure.step}: {failure.what}",
        *(f"    {mistake}" for mistake in failure.mistakes),
    ]
    if played.story:
        told += ["  what was said:", *(f"    {line}" for line in played.story[-STORY_LINES:])]
    return [*told, f"  conversation {played.conversation}"]


def summary(all_played: Sequence[Played]) -> str:
    """How many passed and failed."""
    failed = sum(played.failure is not None for played in all_played)
    return f"{len(all_played) - failed} passed, {failed} failed"


def write_junit(path: Path, all_played: Sequence[Played]) -> None:
    """Write JUnit's XML: a test case for each scenario."""
    suite = ElementTree.Element(
        "testsuite",
        name="parley sandbox play",
        tests=str(len(all_played)),
        failures=str(sum(played.failure is not None for played in all_played)),
        time=f"{sum(played.seconds for played in all_played):.3f}",
    )
    for played in all_played:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            name=_xml(played.name),
            classname=played.file.path.stem,
            time=f"{played.seconds:.3f}",
        )
        if played.failure is not None:
            failure = ElementTree.SubElement(case, "failure", message=_xml(played.failure.what))
            failure.text = _xml("\n".join(lines(played)))
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    """Without what XML can't hold."""
    return "".join(char if char in "\n\t" or char.isprintable() else "�" for char in text)
