"""The rules themselves: one function of a bot at a time."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.conversation import lint_names as names
from app.conversation.chat import Chat
from app.conversation.lint_module import BotModule, Function
from app.conversation.lint_modules import Modules
from app.conversation.lint_names import Rule, Severity
from app.conversation.lint_scope import AWAITED, Scope, Task, chat_parameters, likely_chat, own_nodes

Report = Callable[[str, int, str, Severity, str], None]

_STEPS = frozenset({"step", "steps"})
_DEFERRED = frozenset({"functools.partial", "app.bot.call"})
_CATCH_ALL = frozenset({"BaseException", "GeneratorExit", "builtins.BaseException", "builtins.GeneratorExit"})
_CHANGING = frozenset(
    [
        "append",
        "appendleft",
        "add",
        "update",
        "pop",
        "popleft",
        "popitem",
        "setdefault",
        "clear",
        "extend",
        "remove",
        "insert",
        "discard",
        "sort",
    ]
)


class FunctionLinter(ast.NodeVisitor):
    """Walks a function's own code. Functions that it uses are handed back as further tasks."""

    def __init__(self, modules: Modules, report: Report) -> None:
        self._modules = modules
        self._report = report
        self._module: BotModule
        self._scope: Scope
        self._tasks: list[Task] = []
        self._awaited: set[ast.expr] = set()
        self._closing = 0

    def check_bot(self, module: BotModule, bot: Function) -> None:
        """What holds for the bot's own function alone."""
        self._module = module
        if not isinstance(bot, ast.AsyncFunctionDef):
            self._say(bot, "not-async", "a bot is an `async def` with one parameter, the chat")
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(bot)):
            self._say(bot, "not-async", "a bot does not yield: use chat.say")

    def check(self, task: Task) -> list[Task]:
        """Report what is wrong in this function; the functions it uses."""
        self._module = task.module
        self._scope = Scope(task, self._modules)
        self._tasks = []
        self._awaited = set()
        self._use_decorators(task.function)
        for statement in task.function.body:
            self.visit(statement)
        return self._tasks

    # functions inside are looked at when they are used

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Not now."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Not now."""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Not at all."""

    # awaiting

    def visit_Await(self, node: ast.Await) -> None:
        """Only Chat's methods and functions that use them are awaited."""
        self._awaited.add(node.value)
        if not self._is_ours(node.value) and not self._is_missing(node.value):
            self._foreign(node, ast.unparse(node.value))
        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        """Like an await."""
        self._awaited.add(node.iter)
        if not self._is_ours(node.iter):
            self._foreign(node, f"async for … in {ast.unparse(node.iter)}")
        self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        """Like an await."""
        for item in node.items:
            self._awaited.add(item.context_expr)
            if not self._is_ours(item.context_expr):
                self._foreign(node, f"async with {ast.unparse(item.context_expr)}")
        self.generic_visit(node)

    def _foreign(self, node: ast.AST, what: str) -> None:
        what = what if len(what) <= 60 else what[:57] + "…"
        self._say(node, "await", f"`{what}` awaits something other than Chat: wrap it in chat.step")

    def _is_missing(self, node: ast.expr) -> bool:
        """Whether it calls a method that Chat does not have; that is told where the call is."""
        method = self._scope.chat_method(node) if isinstance(node, ast.Call) else None
        return method is not None and not hasattr(Chat, method)

    def _is_ours(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call):
            return False
        method = self._scope.chat_method(node)
        if method is not None:
            return method in AWAITED
        if self._scope.reads_file(node):
            return True
        function = self._scope.function(node.func)
        return isinstance(function, ast.AsyncFunctionDef) or self._scope.passes_chat(node)

    # calls

    def visit_Call(self, node: ast.Call) -> None:
        """Chat's methods, the bot's own functions and everything else."""
        method = self._scope.chat_method(node)
        function = self._scope.function(node.func)
        if method is not None:
            self._check_chat_call(node, method)
            if method in _STEPS:
                self._visit_step(node)
                return
        elif function is not None:
            self._follow(function, node)
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                self.visit(argument)
            return
        elif self._module.dotted(node.func) in _DEFERRED:
            self._visit_step(node)
            return
        elif self._scope.reads_file(node):
            if node not in self._awaited:
                self._say(node, "not-awaited", f"{ast.unparse(node)} does nothing without `await` before it")
            if self._closing:
                self._in_closing(node)
        else:
            if self._closing and self._scope.passes_chat(node):
                self._in_closing(node)
            self._check_foreign_call(node)
        self.generic_visit(node)

    def _check_chat_call(self, node: ast.Call, method: str) -> None:
        if not hasattr(Chat, method):
            has = ", ".join(sorted(AWAITED))
            self._say(node, "no-such-method", f"Chat has no `{method}`; what can be awaited of it: {has}")
        if method not in AWAITED:
            return
        if node not in self._awaited:
            self._say(node, "not-awaited", f"chat.{method}(…) does nothing without `await` before it")
        if self._closing:
            self._in_closing(node)

    def _in_closing(self, node: ast.AST) -> None:
        self._say(
            node,
            "chat-in-finally",
            "this also runs when the bot is merely put aside between turns, and Chat is closed then: "
            "use `except Exception`, or call it after the try",
        )

    def _visit_step(self, node: ast.Call) -> None:
        """The function runs in a step, whatever it does; the arguments are made here."""
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            if isinstance(argument, ast.Name | ast.Attribute):
                if self._scope.function(argument) is None:
                    self._check_use(argument)
            elif not isinstance(argument, ast.Lambda):
                self.visit(argument)

    def _check_foreign_call(self, node: ast.Call) -> None:
        name = self._scope.dotted(node.func)
        rule = names.called(name, seeded=bool(node.args)) if name is not None else None
        if rule is names.CONCURRENCY and node in self._awaited:
            return  # told as an await
        if rule is None and isinstance(node.func, ast.Attribute):
            base = self._scope.dotted(node.func.value) or ""
            rule = names.method(node.func.attr, of_path=base.startswith("pathlib."))
            self._check_change(node.func)
        if rule is not None:
            self._tell(node, rule, ast.unparse(node.func))
        elif self._scope.passes_chat(node) and self._is_elsewhere(node.func):
            what = ast.unparse(node.func)
            self._say(node, "not-followed", f"`{what}` gets the chat and is not looked into", "warning")

    def _is_elsewhere(self, function: ast.expr) -> bool:
        """Whether this is a method, or a function of somebody else's module."""
        return not isinstance(function, ast.Name) or function.id in self._module.imports

    def _follow(self, function: Function, call: ast.Call) -> None:
        if isinstance(function, ast.AsyncFunctionDef) and call not in self._awaited:
            self._say(call, "not-awaited", f"{function.name}(…) does nothing without `await` before it")
        if self._closing and self._scope.passes_chat(call):
            self._in_closing(call)
        parameters = [*function.args.posonlyargs, *function.args.args]
        module = self._home(call.func)
        chat = set(chat_parameters(function, module))
        chat |= {
            parameter.arg
            for parameter, arg in zip(parameters, call.args, strict=False)
            if self._scope.is_chat(arg)
        }
        chat |= {
            keyword.arg for keyword in call.keywords if keyword.arg and self._scope.is_chat(keyword.value)
        }
        self._use(module, function, frozenset(chat))

    def _home(self, node: ast.expr) -> BotModule:
        """The module of the function that this names."""
        found = self._scope.place(node)
        return found[0] if found is not None else self._module

    def _use_decorators(self, function: Function) -> None:
        """What a decorator makes of a function runs as that function."""
        for decorator in function.decorator_list:
            found = self._scope.place(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if found is None:
                continue
            module, outer = found
            self._use(module, outer, frozenset())
            for inner in ast.walk(outer):
                if isinstance(inner, Function) and inner is not outer:
                    self._tasks.append(Task(module, inner, likely_chat(inner, module)))

    def visit_Return(self, node: ast.Return) -> None:
        """A plain function may hand a chat call to whoever awaits it."""
        if self._scope.plain and node.value is not None:
            self._awaited.add(node.value)
        self.generic_visit(node)

    def _use(self, module: BotModule, function: Function, chat: frozenset[str]) -> None:
        if function is self._scope.around.get(function.name):
            self._tasks.append(Task(module, function, chat | self._scope.chat, self._scope.around))
        else:
            self._tasks.append(Task(module, function, chat))

    # names

    def visit_Name(self, node: ast.Name) -> None:
        """A function named (as `parse=`, as a key) is used here."""
        self._check_named(node)
        self._check_use(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """os.environ and the like."""
        self._check_named(node)
        self._check_use(node)
        self.generic_visit(node)

    def _check_named(self, node: ast.Name | ast.Attribute) -> None:
        """A function that is named, not called: something else will call it."""
        if not isinstance(node.ctx, ast.Load):
            return
        found = self._scope.place(node)
        if found is not None:
            self._use(*found, likely_chat(found[1], found[0]))
            return
        rule = names.handed_on(self._scope.dotted(node) or "")
        if rule is not None:
            self._tell(node, rule, ast.unparse(node))

    def _check_use(self, node: ast.Name | ast.Attribute) -> None:
        rule = names.used(self._scope.dotted(node) or "")
        if rule is not None:
            self._tell(node, rule, ast.unparse(node))

    def visit_Global(self, node: ast.Global) -> None:
        """Changed at every replay."""
        self._global(node, ", ".join(node.names))

    def visit_Assign(self, node: ast.Assign) -> None:
        """TABLE[x] = y"""
        for target in node.targets:
            self._check_change(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """TABLE[x] += y"""
        self._check_change(node.target)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        """del TABLE[x]"""
        for target in node.targets:
            self._check_change(target)
        self.generic_visit(node)

    def _check_change(self, target: ast.expr) -> None:
        """Whether this assigns to a part of a module's variable, or calls a method that changes it."""
        if (
            isinstance(target, ast.Attribute)
            and isinstance(target.ctx, ast.Load)
            and target.attr not in _CHANGING
        ):
            return
        inner = target
        while isinstance(inner, ast.Subscript | ast.Attribute):
            inner = inner.value
        if (
            inner is not target
            and isinstance(inner, ast.Name)
            and inner.id in self._module.variables - self._scope.local
        ):
            self._global(target, inner.id)

    def _global(self, node: ast.AST, name: str) -> None:
        self._say(
            node,
            "global-state",
            f"{name} changes at every replay and in every worker: use chat.session or a step",
        )

    # errors and closing

    def visit_Try(self, node: ast.Try) -> None:
        """`finally` and catch-alls also run when a replayed bot is closed."""
        self._visit_try(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        """Like try."""
        self._visit_try(node)

    def _visit_try(self, node: ast.Try | ast.TryStar) -> None:
        talks = any(self._scope.talks(statement) for statement in node.body)
        for part in (*node.body, *node.orelse):
            self.visit(part)
        for handler in node.handlers:
            catches_all = self._catches_all(handler.type)
            if catches_all and talks and not _raises(handler):
                self._catch_all(handler)
            with self._closed(catches_all):
                self.visit(handler)
        with self._closed(True):
            for part in node.finalbody:
                self.visit(part)

    def visit_With(self, node: ast.With) -> None:
        """contextlib.suppress(BaseException)"""
        for item in node.items:
            call = item.context_expr
            suppresses = self._module.dotted(call) == "contextlib.suppress()"
            caught = call.args if isinstance(call, ast.Call) and suppresses else []
            if any(map(self._catches_all, caught)):
                self._catch_all(node)
        self.generic_visit(node)

    def _catch_all(self, node: ast.AST) -> None:
        self._say(
            node, "catch-all", "this keeps a bot from being put aside between turns: use `except Exception`"
        )

    def _catches_all(self, caught: ast.expr | None) -> bool:
        if isinstance(caught, ast.Tuple):
            return any(self._catches_all(each) for each in caught.elts)
        return caught is None or self._module.dotted(caught) in _CATCH_ALL

    @contextmanager
    def _closed(self, closing: bool) -> Iterator[None]:
        self._closing += closing
        yield
        self._closing -= closing

    # order

    def visit_For(self, node: ast.For) -> None:
        """Sets have no order that lasts."""
        self._check_order(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Likewise."""
        self._check_order(node.iter)
        self.generic_visit(node)

    def _check_order(self, node: ast.expr) -> None:
        made = isinstance(node, ast.Call) and self._module.dotted(node.func) in ("set", "frozenset")
        if made or isinstance(node, ast.Set | ast.SetComp):
            message = "a set's order differs in every process: put sorted(…) around it"
            self._say(node, "unordered", message, "warning")

    # telling

    def _tell(self, node: ast.expr, rule: Rule, what: str) -> None:
        self._report(self._module.file, node.lineno, rule.id, rule.severity, f"{what}: {rule.advice}")

    def _say(self, node: ast.AST, rule: str, message: str, severity: Severity = "error") -> None:
        self._report(self._module.file, getattr(node, "lineno", 0), rule, severity, message)


def _raises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
