"""What endpoints.yaml may say, but hardly means: `parley check` tells. Nothing here stops a start."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import httpx

from app.conversation.lint_module import BotModule, Function
from app.conversation.lint_modules import find
from app.endpoints import Endpoint, Endpoints

#: Arguments of chat.handover, by place where they may be given by it.
_PLACES = {"cancel_text": 3, "timeout": 5}

#: ClamAV's limits, where nobody raised them: those of its older versions.
_CLAMAV = 25 * 1024 * 1024
#: Hosts of a sandbox beside.
_HERE = ("127.0.0.1", "localhost", "::1")

Found = tuple[BotModule, ast.Call, str]


def warnings_about(endpoints: Endpoints) -> Iterator[str]:
    """A line for each thing to think about."""
    for endpoint in endpoints.endpoints:
        for message in _settings(endpoint):
            yield f"{endpoint.name}: warning: {message}"
        yield from _bot(endpoint)
    if endpoints.files.clamd is not None and endpoints.files.max_size > _CLAMAV:
        yield (
            "files: warning: max_size is above ClamAV's own limits, unless StreamMaxLength, MaxFileSize and "
            "MaxScanSize were raised: what is larger counts as not scanned (with AlertExceedsMax) or as clean"
        )


def without_public_url(endpoints: Endpoints) -> Iterator[str]:
    """What does not work for users as long as PARLEY_PUBLIC_URL isn't set."""
    for endpoint in endpoints.endpoints:
        if httpx.URL(endpoint.eightxeight.base_url).host not in _HERE:
            yield (
                f"{endpoint.name}: warning: PARLEY_PUBLIC_URL is not set: URLs of files, as users on SMS and "
                "bots' steps get them, open on this machine only"
            )


def _settings(endpoint: Endpoint) -> Iterator[str]:
    handover, address = endpoint.handover, httpx.URL(endpoint.eightxeight.base_url)
    if address.scheme == "http" and address.host not in _HERE:
        yield "eightxeight.base_url is http: the API key and what users write go over the network in the open"
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
    """What the bot asks for and the endpoint's settings can't give, with its line."""
    if endpoint.handover.return_assignment is None:
        lacks = "which has no handover.return_assignment"
        for found in _asks_for(endpoint, ("cancel_text", "cancel_when")):
            yield _line(found, f"can't be offered by endpoint {endpoint.name}, {lacks}")
        for found in _asks_for(endpoint, ("timeout",)):
            yield _line(found, f"leaves the user in 8x8's queue at endpoint {endpoint.name}, {lacks}")
        for module, node in _calls(endpoint, "close_handover"):
            name = "chat.close_handover()"
            yield _line((module, node, name), f"takes nothing back at endpoint {endpoint.name}, {lacks}")
    if endpoint.handover.inactivity is None:
        for found in _asks_for(endpoint, ("on_inactive",)):
            yield _line(
                found, f"is never called by endpoint {endpoint.name}, which has no handover.inactivity"
            )


def _line(found: Found, what: str) -> str:
    module, node, name = found
    return f"{module.file}:{node.lineno}: warning: {name} {what} [handover]"


def _asks_for(endpoint: Endpoint, names: tuple[str, ...]) -> list[Found]:
    """Where the bot calls `….handover(…)` with one of these arguments."""
    return [
        (module, call, f"chat.handover({name}=)")
        for module, call in _calls(endpoint, "handover")
        for name, value in _arguments(call)
        if name in names and not _is_none(value)
    ]


def _arguments(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    for name, place in _PLACES.items():
        if len(call.args) > place:
            yield name, call.args[place]
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value


def _calls(endpoint: Endpoint, method: str) -> list[tuple[BotModule, ast.Call]]:
    """Where the bot, or what it uses of its module, calls a method of this name."""
    try:
        module, bot = find(endpoint.flow)
    except (LookupError, SyntaxError):
        return []  # told already, as a mistake
    return [
        (module, node)
        for function in _used(module, bot)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    ]


def _used(module: BotModule, bot: Function) -> Iterator[Function]:
    """The bot's function and the module's functions that it names, and those that these name."""
    known, left = {bot.name}, [bot]
    while left:
        function = left.pop()
        yield function
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in module.functions and node.id not in known:
                known.add(node.id)
                left.append(module.functions[node.id])


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
