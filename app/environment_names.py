"""`${NAME}` in a file, replaced by environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: `$${` stands for a literal `${`; a default may hold anything but a closing brace.
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}\n]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?")
_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")


@dataclass
class References:
    """The references of a text, taken out before it is parsed and put back into its values afterwards.

    So a value can't break the file's syntax, and a reference in a comment asks for nothing.
    `${NAME}` must be set, `${NAME:-default}` gives the default where NAME is unset or empty.
    """

    environ: Mapping[str, str]
    found: list[str] = field(default_factory=list)

    def take_out(self, text: str) -> str:
        """The text with every reference replaced by a placeholder that is a plain word to YAML."""

        def replace(match: re.Match[str]) -> str:
            self.found.append(match.group(0))
            return f"\ue000{len(self.found) - 1}\ue001"

        return _REFERENCE.sub(replace, text)

    def put_back(self, value: str) -> tuple[str, list[str]]:
        """A value with the environment's variables in it, and what is wrong with its references."""
        wrong: list[str] = []

        def replace(match: re.Match[str]) -> str:
            text, mistake = self._resolve(self.found[int(match.group(1))])
            if mistake:
                wrong.append(mistake)
            return text

        return _PLACEHOLDER.sub(replace, value), wrong

    def _resolve(self, reference: str) -> tuple[str, str | None]:
        if reference == "$${":
            return "${", None
        match = _NAME.fullmatch(reference[2:-1])
        if match is None:
            return "", f"{reference} is not a variable's name"
        name, default = match.groups()
        value = self.environ.get(name)
        if default is not None:
            return value or default, None
        if value is None:
            return "", f"the environment variable {name} is not set"
        return value, None
