"""Reading scenario files, every mistake with its line."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from app.sandbox.scenario.model import Scenario


class ScenarioError(Exception):
    """A scenario file can't be read: the message names file, line and mistake, a line for each."""


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario as read. `lines` are the numbers of its steps' lines, from 1."""

    path: Path
    scenario: Scenario
    lines: list[int]


def read(path: Path) -> ScenarioFile:
    """Read and check a file. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise ScenarioError(f"{path}: can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ScenarioError(f"{path}: a scenario is an object with steps")
    lines = _step_lines(node)
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        raise ScenarioError(_described(path, error, lines)) from error
    return ScenarioFile(path, scenario, lines)


def _step_lines(node: yaml.Node | None) -> list[int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "steps" and isinstance(value, yaml.SequenceNode):
                return [item.start_mark.line + 1 for item in value.value]
    return []


def _described(path: Path, error: ValidationError, lines: list[int]) -> str:
    told = []
    for detail in error.errors(include_url=False, include_input=False):
        place = detail["loc"]
        where = str(path)
        if len(place) > 1 and place[0] == "steps" and isinstance(place[1], int) and place[1] < len(lines):
            where = f"{path}:{lines[place[1]]}"
            place = place[3:]  # past the step's kind
        name = ".".join(str(part) for part in place)
        told.append(f"{where}: {f'{name}: ' if name else ''}{detail['msg']}")
    return "\n".join(dict.fromkeys(told))
