"""README and docs: links lead somewhere, commands exist, tables are complete, the README's bot works."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.core
import typer.main
import yaml

from app.bot import Chat
from app.cli import app
from app.conversation.lint import lint_source
from app.endpoints_file import read_endpoints
from app.receiver.gauges import Gauges
from app.receiver.metrics import Metrics
from app.sealing import VARIABLE as ENCRYPTION_KEY
from app.settings import Settings
from app.testing import converse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

#: Fenced blocks of these languages are prose to this test, beside those it runs.
SHELL = ("", "sh", "bash", "ini", "console")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CALL = re.compile(r"(?:^|(?<=[\s/(;]))parley( +[a-z][\w-]*(?: +(?:--?)?[A-Za-z][\w-]*)*)")


@dataclass(frozen=True)
class Code:
    """A line of code on a page."""

    page: str
    text: str


def code_of(page: Path) -> Iterator[Code]:
    """Every inline code span, and every line of the fenced blocks that hold commands."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in SHELL:
            for line in block.splitlines():
                yield Code(page.name, line.split("#")[0])
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        yield Code(page.name, span)


CODE = [code for page in PAGES for code in code_of(page)]
PARLEY_CALLS = [(code.page, call) for code in CODE for call in CALL.findall(code.text)]
MAKE_CALLS = [
    (code.page, target) for code in CODE for target in re.findall(r"^make ([a-z][a-z-]*)", code.text.strip())
]


def resolve(words: list[str]) -> str | None:
    """What is wrong with `parley` and these words, if anything."""
    command: object = typer.main.get_command(app)
    for word in words:
        assert isinstance(command, typer.core.TyperGroup | typer.core.TyperCommand)
        if word.startswith("-"):
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            if word not in known:
                return f"{command.name} has no {word}"
        elif isinstance(command, typer.core.TyperGroup):
            found = command.commands.get(word)
            if found is None:
                return f"{command.name} has no command {word}"
            command = found
    return None


def leaves(command: object, path: str = "parley") -> Iterator[str]:
    """The command lines there are."""
    if isinstance(command, typer.core.TyperGroup):
        for name, each in command.commands.items():
            yield from leaves(each, f"{path} {name}")
    else:
        yield path


def anchors(page: Path) -> set[str]:
    """What a page's headings are linked by."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_shows_the_sandbox() -> None:
    [picture] = re.findall(r"^!\[[^]]+\]\((\S+\.png)\)$", README, re.M)
    assert 20_000 < (ROOT / picture).stat().st_size < 250_000


def test_every_parley_command_named_exists() -> None:
    assert len(PARLEY_CALLS) > 30
    wrong = [(page, call, resolve(call.split())) for page, call in PARLEY_CALLS]
    assert [each for each in wrong if each[2]] == []


def test_a_command_or_option_that_does_not_exist_would_be_found() -> None:
    assert resolve(["conversations", "show", "ID"]) is None
    assert resolve(["up", "--no-sandbox"]) is None
    assert resolve(["conversations", "burn"]) is not None
    assert resolve(["up", "--fast"]) is not None


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    assert {"run", "test"} <= {target for _, target in MAKE_CALLS}
    assert [(page, target) for page, target in MAKE_CALLS if target not in targets] == []


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    assert {name for name in targets if not name.startswith("try-")} == set(
        re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.M)
    )


def test_the_readme_names_every_command() -> None:
    missing = [path for path in leaves(typer.main.get_command(app)) if path not in README]
    assert missing == []


def test_the_table_of_settings_is_complete_and_has_the_right_defaults() -> None:
    rows = dict(re.findall(r"^\| `(PARLEY_\w+)` \|(.*?)\|", OPERATIONS, re.M))
    defaults = {f"PARLEY_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    assert set(rows) - {ENCRYPTION_KEY} == set(defaults)
    for name, default in defaults.items():
        shown = rows[name].strip("` ")
        if isinstance(default, float):
            assert float(shown) == default, name
        else:
            assert shown == ("" if default is None else str(default)), name


def test_every_variable_named_exists() -> None:
    known = {ENCRYPTION_KEY, *(f"PARLEY_{name.upper()}" for name in Settings.model_fields)}
    for page in PAGES:
        named = set(re.findall(r"PARLEY_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= known, page.name


async def reading() -> dict[str, Any]:
    """What the database would say of an empty installation."""
    counts = ("events_waiting", "oldest_event_seconds", "conversations_due", "conversations_open")
    objects = dict.fromkeys(("deliveries", "dead", "incidents", "steps_stuck"), '{"x": 1}')
    rest = ("sessions_open", "workers_alive", "workers_lost")
    return {**dict.fromkeys((*counts, *rest), 0), **objects, "stats": "[]"}


def test_every_metric_named_exists() -> None:
    metrics = Metrics()
    metrics.watch_waiting(lambda: 0)
    metrics.add(Gauges(reading))
    asyncio.run(metrics.refresh())
    families = set(re.findall(r"^# TYPE (\w+)", metrics.exposition().decode(), re.M))
    cells = re.findall(r"^\| (`parley_[^|]+) \|", OPERATIONS, re.M)
    named = {name.removesuffix("_total") for cell in cells for name in re.findall(r"parley_\w+", cell)}
    families = {name.removesuffix("_total") for name in families}
    assert len(named) >= 5
    assert named <= families


def test_every_kind_of_incident_is_explained() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "app").rglob("*.py")))
    made = set(re.findall(r'incident\(\s*"([a-z_]+)"', source))
    made |= set(re.findall(r'\bfail\(.*?kind="([a-z_]+)"', source))
    assert {"quarantined", "dead_letter", "bot_failed"} <= made
    explained = set(re.findall(r"^\| `([a-z_]+)`(?: \*)? \|", OPERATIONS, re.M))
    assert made <= explained


def test_every_deployment_is_explained() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", OPERATIONS, re.M))
    assert {each["name"] for each in deployments} <= explained


@pytest.fixture
def readme_bot() -> ModuleType:
    """The README's Python as a module."""
    [source] = [block for language, block in FENCE.findall(README) if language == "python"]
    assert lint_source(source, "feedback", file="README.md") == []
    module = ModuleType("readme")
    exec(compile(source, "README.md", "exec"), module.__dict__)
    return module


def test_the_readmes_bot_works(readme_bot: ModuleType) -> None:
    assert readme_bot.Chat is Chat
    talk = converse(readme_bot.feedback)
    talk.says("hi")
    talk.says("Ada")
    assert talk.says("well")[0].text == "A number, please."
    assert talk.says("5")[0].text == "Thank you!"
    assert talk.finished
    talk.says("hi again")
    talk.says("Ada")
    talk.says("1")
    assert talk.handed_over("completed")[0].text == "Thank you."


def test_the_readmes_endpoints_yaml_has_no_mistakes(tmp_path: Path) -> None:
    [source] = [block for language, block in FENCE.findall(README) if language == "yaml"]
    (tmp_path / "endpoints.yaml").write_text(source)
    environ = {"SUPPORT_TOKEN": "t" * 24, "EIGHTXEIGHT_KEY": "k" * 24}
    endpoints, mistakes = read_endpoints(tmp_path / "endpoints.yaml", environ)
    assert endpoints is not None
    assert mistakes == []
