"""A bot's module as the linter sees it: its functions and what its names stand for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class BotModule:
    """A parsed module. `imports` maps local names to dotted ones, `variables` are its module-level names."""

    name: str
    file: str
    functions: dict[str, Function] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)

    def dotted(self, node: ast.expr) -> str | None:
        """The full dotted name that an expression stands for: `dt.now` is datetime.datetime.now."""
        match node:
            case ast.Name(id=name):
                return self.imports.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return None if base is None else f"{base}.{attr}"
            case ast.Call(func=func):
                base = self.dotted(func)
                return None if base is None else f"{base}()"
            case _:
                return None


def parse(source: str, *, name: str, file: str, package: bool = False) -> BotModule:
    """A module from its source. Raises SyntaxError."""
    tree = ast.parse(source, file)
    module = BotModule(name, file)
    for statement in tree.body:
        if isinstance(statement, Function):
            module.functions[statement.name] = statement
        else:
            module.variables |= set(bound_names(statement))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.imports[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, name, package)
            for alias in node.names:
                module.imports[alias.asname or alias.name] = f"{base}.{alias.name}"
    _find_loggers(tree, module)
    module.variables -= module.imports.keys()
    return module


def bound_names(node: ast.AST) -> list[str]:
    """The names that a statement binds."""
    return [
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


def _find_loggers(tree: ast.Module, module: BotModule) -> None:
    """`log = logging.getLogger(…)`: what is called on it is called on the logging module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            maker = module.dotted(node.value.func) or ""
            if maker.partition(".")[0] in ("logging", "structlog", "loguru"):
                module.imports.update(dict.fromkeys(bound_names(node), maker))


def _absolute(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + package]
    return ".".join([*parts, *([node.module] if node.module else [])])
