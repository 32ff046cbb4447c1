"""What endpoints.yaml may say, but hardly means: `parley check` tells. Nothing here stops a start."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from app.conversation.lint_module import BotModule, find
from app.endpoints import Endpoint, Endpoints

#: Arguments of chat.handover that take the conversation back.
_CANCELLING = ("cancel_text", "cancel_when")


def warnings_about(endpoints: Endpoints) -> Iterator[str]:
    """A line for each thing to think about."""
    for endpoint in endpoints.endpoints:
        for message in _settings(endpoint):
            yield f"{endpoint.name}: warning: {message}"
        yield from _bot(endpoint)


def _settings(endpoint: Endpoint) -> Iterator[str]:
    handover = endpoint.handover
    if not endpoint.verify_signatures:
        yield "verify_signatures is off: anybody who knows the URL can post events"
    if handover.return_assignment is None:
        if handover.cancel_text is not None:
            yield (
                "handover.cancel_text is never offered: without handover.return_assignment a conversation "
                "can't be taken back from a queue"
            )
        if handover.timeout is not None:
            yield (
                "handover.timeout ends the waiting, but the conversation stays in 8x8's queue: set "
                "handover.return_assignment to take it back"
            )
    if handover.repeat_message and handover.message is None:
        yield "handover.repeat_message has no handover.message to repeat"
    if endpoint.enabled == "draining" and handover.queue is None:
        yield "it is draining without a handover.queue: new conversations get no answer"
    if handover.inactivity is not None and not _asks_for(endpoint, ("on_inactive",)):
        yield "handover.inactivity does nothing: the bot's chat.handover() has no on_inactive"


def _bot(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.handover.return_assignment is not None:
        return
    for module, node, name in _asks_for(endpoint, _CANCELLING):
        yield (
            f"{module.file}:{node.lineno}: warning: chat.handover({name}=) can't be offered by endpoint "
            f"{endpoint.name}, which has no handover.return_assignment [handover]"
        )


def _asks_for(endpoint: Endpoint, names: tuple[str, ...]) -> list[tuple[BotModule, ast.Call, str]]:
    """Where functions of the bot's module call `….handover(…)` with one of these arguments."""
    try:
        module, _ = find(endpoint.flow)
    except (LookupError, SyntaxError):
        return []  # told already, as a mistake
    calls = [
        node
        for function in module.functions.values()
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "handover"
    ]
    return [
        (module, call, keyword.arg)
        for call in calls
        for keyword in call.keywords
        if keyword.arg in names and not _is_none(keyword.value)
    ]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
