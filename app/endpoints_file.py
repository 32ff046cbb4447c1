"""Reading endpoints.yaml: every mistake at once, each with its line and its place in the file.

No value of the file is ever repeated in a message, since most of them are secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.endpoints import EightXEight, Endpoint, Endpoints
from app.endpoints_rules import EXPLANATIONS, TYPES, broken_rules
from app.environment_names import References
from app.errors import ConfigurationError
from app.functions import unusable
from app.sealing import sealer

Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Mistake:
    """Something wrong in the file. `line` counts from 1, 0 where none can be told."""

    line: int
    place: Place
    message: str

    def __str__(self) -> str:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place).lstrip(
            "."
        )
        return ": ".join(
            part for part in (f"line {self.line}" if self.line else "", where, self.message) if part
        )


def load_endpoints(path: Path, environ: Mapping[str, str] = os.environ, *, bots: bool = False) -> Endpoints:
    """The endpoints of the file. Raises ConfigurationError that names every mistake in it."""
    endpoints, mistakes = read_endpoints(path, environ, bots=bots)
    if endpoints is None or mistakes:
        raise ConfigurationError(describe(path, mistakes))
    return endpoints


def describe(path: Path, mistakes: list[Mistake]) -> str:
    """All mistakes as one message, a line each."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return "\n".join([f"{path}: {count}", *(f"  {mistake}" for mistake in mistakes)])


def read_endpoints(
    path: Path, environ: Mapping[str, str] = os.environ, *, bots: bool = False
) -> tuple[Endpoints | None, list[Mistake]]:
    """The endpoints of the file, where it can be understood, and its mistakes in the file's order.

    `bots`: those that can't be imported, or aren't any, are mistakes too, and so are transformers.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return None, [
            Mistake(0, (), f"the file can't be read: {error.strerror} (PARLEY_ENDPOINTS says where)")
        ]
    except UnicodeDecodeError:
        return None, [Mistake(0, (), "the file is not UTF-8")]
    reading = _Reading(References(environ))
    document = reading.parse(text)
    if reading.mistakes and document is None:
        return None, reading.mistakes
    endpoints: Endpoints | None = None
    if document is None:
        reading.add((), "the file is empty: it needs a list `endpoints`")
    else:
        endpoints = reading.validate(document)
        reading.check_key(endpoints, environ)
        if bots:
            reading.load(document)
    return endpoints, sorted(set(reading.mistakes), key=lambda mistake: (mistake.line, str(mistake)))


class _Reading:
    """One file as it is read: its mistakes and the line of each place."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.mistakes: list[Mistake] = []
        self.lines: dict[Place, int] = {}
        self.unresolved: set[Place] = set()

    def add(self, place: Place, message: str) -> None:
        known = next((place[:end] for end in range(len(place), -1, -1) if place[:end] in self.lines), ())
        self.mistakes.append(Mistake(self.lines.get(known, 0), place, message))

    def parse(self, text: str) -> Any:
        """The YAML document as plain values; None when it is none."""
        try:
            node = yaml.compose(self.references.take_out(text), Loader=yaml.SafeLoader)
            return None if node is None else self._value(node, (), yaml.constructor.SafeConstructor())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.mistakes.append(
                Mistake(mark.line + 1 if mark else 0, (), f"not YAML: {error.problem}{_often(error)}")
            )
        except (yaml.YAMLError, RecursionError):
            self.mistakes.append(Mistake(0, (), "not YAML"))
        return None

    def _value(self, node: yaml.Node, place: Place, build: yaml.constructor.SafeConstructor) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            values: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(getattr(key_node, "value", key_node))
                twice = key in values
                values[key] = self._value(value_node, (*place, key), build)
                self.lines[(*place, key)] = key_node.start_mark.line + 1
                if twice:
                    self.add((*place, key), "is there twice")
            return values
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, (*place, index), build) for index, each in enumerate(node.value)]
        value = build.construct_object(node)
        if isinstance(value, str):
            value, wrong = self.references.put_back(value)
            for message in wrong:
                self.add(place, message)
                self.unresolved.add(place)
        return value

    def validate(self, document: Any) -> Endpoints | None:
        """The document as Endpoints; what its types and rules don't allow becomes a mistake."""
        endpoints: Endpoints | None = None
        try:
            endpoints = Endpoints.model_validate(document)
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=False, include_input=False):
                self._refused(document, details)
        for place, message in broken_rules(document):
            if place not in self.unresolved:
                self.add(place, message)
        return endpoints

    def load(self, document: Any) -> None:
        """Bots and transformers are there and can be used."""
        for place, message in unusable(document):
            if place not in self.unresolved:
                self.add(place, message)

    def check_key(self, endpoints: Endpoints | None, environ: Mapping[str, str]) -> None:
        """An endpoint that encrypts needs the key."""
        for index, endpoint in enumerate(endpoints.endpoints if endpoints is not None else []):
            if endpoint.encrypt:
                try:
                    sealer(environ)
                except ConfigurationError as error:
                    self.add(("endpoints", index, "encrypt"), str(error))

    def _refused(self, document: Any, details: ErrorDetails) -> None:
        place = _place(document, details["loc"])
        if details["type"] == "extra_forbidden":
            self.add(place, "unknown key" + _did_you_mean(str(place[-1]), _keys(place)))
        elif place in self.unresolved:
            return
        elif details["type"] == "missing":
            self.add((*place, str(details["loc"][-1])), "is missing")
        elif details["type"] == "model_type":
            self.add(place, "must be a mapping of keys to values")
        else:
            message = TYPES.get(details["type"], details["msg"])
            self.add(place, EXPLANATIONS.get(_setting(place), message))


def _often(error: yaml.MarkedYAMLError) -> str:
    """What mostly is behind it, where PyYAML's own words don't tell."""
    if error.problem and error.problem.startswith("expected <block end>"):
        return " (is the line indented as those before it?)"
    if error.problem == "found character '\\t' that cannot start any token":
        return " (indent with spaces)"
    return ""


def _setting(place: Place) -> str:
    return next((part for part in reversed(place) if isinstance(part, str)), "")


def _place(document: Any, location: tuple[int | str, ...]) -> Place:
    """The part of pydantic's location that is in the file: a union's branches are not."""
    place: list[str | int] = []
    value = document
    for part in location:
        if isinstance(value, dict) and part in value:  # noqa: SIM114
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue  # a union's branch, or what is missing
        place.append(part)
    return tuple(place)


def _keys(place: Place) -> list[str]:
    """The keys that are known where `place` is."""
    model: type[BaseModel] = Endpoints
    for part in place[:-1]:
        if part == "endpoints":
            model = Endpoint
        elif isinstance(part, str) and part in model.model_fields:
            kind = model.model_fields[part].annotation
            models = [each for each in (kind, *get_args(kind)) if isinstance(each, type)]
            model = next((each for each in models if issubclass(each, BaseModel)), EightXEight)
    return list(model.model_fields)


def _did_you_mean(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
