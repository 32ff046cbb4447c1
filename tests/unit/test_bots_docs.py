"""docs/bots.md: its bots are linted, its tests are run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.bot import Chat, Message
from app.conversation.lint import lint_source
from app.testing import Talk, converse

PAGE = Path(__file__).parents[2] / "docs" / "bots.md"
SOURCE = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
FUNCTIONS = [
    node for node in ast.parse(SOURCE).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]
BOTS = [node.name for node in FUNCTIONS if isinstance(node, ast.AsyncFunctionDef)]
TESTS = [node.name for node in FUNCTIONS if node.name.startswith("test_")]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's Python as a module."""
    module = ModuleType("bots_page")
    monkeypatch.setitem(sys.modules, "bots_page", module)
    exec(compile(SOURCE, str(PAGE), "exec"), module.__dict__)
    return module


def test_the_page_has_bots_and_tests() -> None:
    assert len(BOTS) >= 7
    assert len(TESTS) >= 4


@pytest.mark.parametrize("name", BOTS)
def test_documented_bots_are_clean(name: str) -> None:
    assert lint_source(SOURCE, name, file="docs/bots.md") == []


@pytest.mark.parametrize("name", TESTS)
def test_documented_tests_pass(page: ModuleType, name: str) -> None:
    getattr(page, name)()


@pytest.mark.parametrize("name", BOTS)
def test_documented_bots_can_be_talked_to_until_they_end(page: ModuleType, name: str) -> None:
    steps: dict[str, Callable[..., Any]] = {"fetch_weather": lambda city: {"sky": "clear"}}
    talk: Talk = converse(getattr(page, name), steps=steps)
    talk.says("hi")
    for _ in range(5):
        if talk.finished:
            break
        if talk.handover is not None:
            talk.handed_over("failed")
        else:
            talk.says("3")
    assert talk.finished
    assert talk.replies


def test_the_reference_names_all_of_chat_and_message() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in (each for each in vars(Chat) if not each.startswith("_")):
        assert f"chat.{name}" in text, name
    for name in Message.__dataclass_fields__:
        assert f"`{name}`" in text, name
