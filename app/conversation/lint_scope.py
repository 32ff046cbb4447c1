"""What the names in one function of a bot mean: which is the Chat, which are the bot's own functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.conversation.lint_module import BotModule, Function, bound_names
from app.conversation.lint_modules import Modules

#: What is awaited of Chat.
AWAITED = frozenset(
    {"say", "ask", "receive", "step", "steps", "handover", "close_handover", "end", "private", "thinking"}
)


@dataclass(frozen=True, slots=True)
class Task:
    """A function to look at, the names under which it knows the Chat, and the functions defined around it."""

    module: BotModule
    function: Function
    chat: frozenset[str]
    around: dict[str, Function] = field(default_factory=dict)


def chat_parameters(function: Function, module: BotModule) -> frozenset[str]:
    """The parameters that are annotated as Chat."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return frozenset(each.arg for each in arguments if _is_chat(each.annotation, module))


def likely_chat(function: Function, module: BotModule) -> frozenset[str]:
    """The parameters annotated as Chat; of an async function without any, the first one."""
    first = function.args.args[:1] if isinstance(function, ast.AsyncFunctionDef) else []
    return chat_parameters(function, module) or frozenset(each.arg for each in first)


def _is_chat(annotation: ast.expr | None, module: BotModule) -> bool:
    return _is_named(annotation, "Chat", module)


def _is_named(annotation: ast.expr | None, name: str, module: BotModule) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value.split(".")[-1] == name
    return annotation is not None and (module.dotted(annotation) or "").split(".")[-1] == name


class Scope:
    """The names of one task's function."""

    def __init__(self, task: Task, modules: Modules) -> None:
        function, module = task.function, task.module
        nested = {node.name: node for node in own_nodes(function) if isinstance(node, Function)}
        self.chat = task.chat
        self.around = {**task.around, **nested}
        self.plain = isinstance(function, ast.FunctionDef)
        parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        self.local = {parameter.arg for parameter in parameters}
        for node in own_nodes(function):
            if isinstance(node, ast.stmt) and not isinstance(node, Function):
                self.local |= set(bound_names(node))
        self._module = module
        self._modules = modules
        self.files = {each.arg for each in parameters if _is_named(each.annotation, "Attachment", module)}
        self._find_files(function)

    def _find_files(self, function: Function) -> None:
        """The names that are given attachments: `files = message.attachments`, `for file in …`."""
        before = -1
        while before < len(self.files):  # what one is given may be given on to another
            before = len(self.files)
            for node in own_nodes(function):
                self.files |= self._given_files(node)

    def _given_files(self, node: ast.AST) -> set[str]:
        match node:
            case ast.Assign(targets=targets, value=value):
                found: list[ast.expr] = targets
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                found = [target]
            case _:
                return set()
        if not self._is_file(value):
            return set()
        return {each.id for target in found for each in ast.walk(target) if isinstance(each, ast.Name)}

    def reads_file(self, node: ast.Call) -> bool:
        """Whether this is the `read()` of a message's attachment."""
        match node.func:
            case ast.Attribute(value=value, attr="read"):
                return not node.args and not node.keywords and self._is_file(value)
        return False

    def _is_file(self, node: ast.expr) -> bool:
        """Whether this comes from `….attachments`, or is a parameter annotated as Attachment."""
        if any(isinstance(each, ast.Attribute) and each.attr == "attachments" for each in ast.walk(node)):
            return True
        return any(isinstance(each, ast.Name) and each.id in self.files for each in ast.walk(node))

    def chat_method(self, node: ast.Call) -> str | None:
        """The name of the Chat's method that this calls."""
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in self.chat:
                return attr
        return None

    def function(self, node: ast.expr) -> Function | None:
        """The function of the bot's own code that this names."""
        found = self.place(node)
        return found[1] if found is not None else None

    def place(self, node: ast.expr) -> tuple[BotModule, Function] | None:
        """That function, with its module."""
        if isinstance(node, ast.Name):
            if node.id in self.around:
                return self._module, self.around[node.id]
            if node.id in self.local:
                return None
            if node.id in self._module.functions:
                return self._module, self._module.functions[node.id]
        elif not isinstance(node, ast.Attribute):
            return None
        return self._modules.function(self.dotted(node) or "")

    def dotted(self, node: ast.expr) -> str | None:
        """As in the module, but for what is a variable of this function."""
        root = node
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        if isinstance(root, ast.Name) and root.id in self.local and root.id not in self._module.imports:
            return None
        return self._module.dotted(node)

    def is_chat(self, node: ast.expr) -> bool:
        """Whether this is the Chat."""
        return isinstance(node, ast.Name) and node.id in self.chat

    def passes_chat(self, node: ast.Call) -> bool:
        """Whether this call gives the Chat to somebody."""
        return any(map(self.is_chat, (*node.args, *(keyword.value for keyword in node.keywords))))

    def talks(self, node: ast.AST) -> bool:
        """Whether there is a chat call within."""
        calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
        return any(self.chat_method(call) in AWAITED or self.passes_chat(call) for call in calls)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function, those of functions inside it left out (but for their own node)."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
