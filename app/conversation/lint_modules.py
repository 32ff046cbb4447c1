"""The modules that the linter looks into: the bot's, and those beside and below it that it imports."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

from app.conversation.lint_module import BotModule, Function, parse

_DEPTH = 5  # how often a function may be imported on from another module
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class Modules:
    """Modules by name, each parsed once. `bot` is the first one; without its file no other is read."""

    def __init__(self, bot: BotModule, path: Path | None = None) -> None:
        self._known: dict[str, BotModule | None] = {bot.name: bot}
        self._package = bot.name.partition(".")[0]
        self._folder = path.parent if path is not None else None

    def function(self, dotted: str) -> tuple[BotModule, Function] | None:
        """The function of the bot's own code with this full name, followed to where it is defined."""
        for _ in range(_DEPTH):
            module_name, _, name = dotted.rpartition(".")
            module = self._module(module_name) if module_name else None
            if module is None:
                return None
            if name in module.functions:
                return module, module.functions[name]
            if name not in module.imports:
                return None
            dotted = module.imports[name]
        return None

    def _module(self, name: str) -> BotModule | None:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> BotModule | None:
        path = self._own_file(name)
        if path is None:
            return None
        try:
            return read(name, path)
        except (SyntaxError, OSError, UnicodeDecodeError):
            return None  # its import fails, which is told

    def _own_file(self, name: str) -> Path | None:
        """Where the module is, if it is the bot's own: of its package, or beside or below its file."""
        top = name.partition(".")[0]
        if self._folder is None or (top != self._package and not self._is_near(_path(top))):
            return None
        return _path(name)

    def _is_near(self, path: Path | None) -> bool:
        if path is None or self._folder is None or not path.is_relative_to(self._folder):
            return False
        return not _INSTALLED & set(path.parts)


def read(name: str, path: Path) -> BotModule:
    """A module from its file. Raises SyntaxError, OSError and UnicodeDecodeError."""
    source = path.read_text(encoding="utf-8")
    return parse(source, name=name, file=_shown(path), package=path.name == "__init__.py")


def load(name: str) -> tuple[BotModule, Path]:
    """A module and its file. Raises LookupError that says what is missing, and SyntaxError."""
    path = _path(name, strict=True)
    if path is None:
        raise LookupError(f"there is no Python module {name}")
    return read(name, path), path


def find(path: str) -> tuple[BotModule, Function]:
    """The module and the function of `module:function`, followed to where it is defined.

    Raises LookupError that says what is missing, and SyntaxError.
    """
    module, function, _ = find_with_file(path)
    return module, function


def find_with_file(path: str) -> tuple[BotModule, Function, Path]:
    """As `find`, with the module's file."""
    module_name, _, name = path.partition(":")
    for _ in range(_DEPTH):
        module, file = load(module_name)
        if name in module.functions:
            return module, module.functions[name], file
        origin = module.imports.get(name)
        if origin is None:
            raise LookupError(f"{module_name} defines no function {name}")
        module_name, _, name = origin.rpartition(".")
    raise LookupError(f"{path} is imported from module to module")


def _path(name: str, *, strict: bool = False) -> Path | None:
    """The module's file. `strict`: raises LookupError where its package can't be found."""
    try:
        spec: ModuleSpec | None = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        if strict:
            raise LookupError(f"there is no module {name}") from error
        return None
    if spec is None or spec.origin is None or not spec.has_location or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _shown(path: Path) -> str:
    """The file, from the current folder where it lies in there."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
