"""Finds in a bot's source what a replay would stumble over. Nothing of the bot is run.

It looks at the bot's function and at every function that the bot uses outside of steps, as far as these are
defined in its own module, its package, or beside or below its file. What it can't see: functions of other
modules, and methods of objects; one that gets the chat is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.conversation.lint_function import FunctionLinter
from app.conversation.lint_module import BotModule, Function, parse
from app.conversation.lint_modules import Modules, find_with_file
from app.conversation.lint_names import Severity
from app.conversation.lint_scope import Task, chat_parameters


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to change, or (a warning) to think about."""

    file: str
    line: int
    rule: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity}: {self.message} [{self.rule}]"


def lint_bot(bot_path: str) -> list[Finding]:
    """What is wrong with the bot at `module:function`, in the order of lines.

    A bot that can't be found or parsed is one finding, "import". Importing a package may run its __init__.
    """
    try:
        module, function, file = find_with_file(bot_path)
    except LookupError as error:
        return [Finding(bot_path.partition(":")[0], 0, "import", "error", str(error))]
    except SyntaxError as error:
        return [
            Finding(error.filename or bot_path, error.lineno or 0, "import", "error", "it does not parse")
        ]
    return _lint(module, function, Modules(module, file))


def lint_source(source: str, function: str, *, file: str = "bot.py") -> list[Finding]:
    """What is wrong with a bot in a text. Raises SyntaxError, and KeyError when there is no such function."""
    module = parse(source, name="bot", file=file)
    return _lint(module, module.functions[function], Modules(module))


def _lint(module: BotModule, bot: Function, modules: Modules) -> list[Finding]:
    found: set[Finding] = set()

    def report(file: str, line: int, rule: str, severity: Severity, message: str) -> None:
        found.add(Finding(file, line, rule, severity, message))

    chat = chat_parameters(bot, module) or frozenset(each.arg for each in bot.args.args[:1])
    tasks = [Task(module, bot, chat)]
    done: set[tuple[str, int, frozenset[str]]] = set()
    linter = FunctionLinter(modules, report)
    linter.check_bot(module, bot)
    while tasks:
        task = tasks.pop()
        key = (task.module.name, task.function.lineno, task.chat)
        if key not in done:
            done.add(key)
            tasks += linter.check(task)
    return sorted(found)
