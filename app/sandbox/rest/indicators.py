"""Typing, thinking, read receipts: shown to the user, told to nobody else."""

import time

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox.model import TYPING_SECONDS, JsonObject
from app.sandbox.rest import checks, common
from app.sandbox.rest.common import TenantRequest
from app.sandbox.rest.problems import invalid_parameter
from app.sandbox.rest.route import PREFIX
from app.sandbox.world import World

ONE = PREFIX + "/conversations/{conversation_id:str}"


@post(ONE + "/typing", status_code=204)
async def typing(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """The bot (or a user from someone else's channel) is typing."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    author = checks.author(checks.json_object(await request.body()), ("bot", "user"))
    conversation.type_for(author, TYPING_SECONDS)
    world.signals.wake(conversation.id)


@post(ONE + "/thinking", status_code=204)
async def thinking(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """The bot is thinking; the body is optional."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    raw = await request.body()
    body: JsonObject = checks.json_object(raw) if raw else {}
    checks.author(body, ("bot",), "bot")
    seconds = checks.whole_number(body, "maxThinkingTimeSeconds", 1, 600, 60)
    conversation.thinking_until = time.monotonic() + seconds
    world.signals.wake(conversation.id)


@post(ONE + "/read-receipt", status_code=204)
async def read_receipt(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """Everything up to `readAt` was read."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    body = checks.json_object(await request.body())
    author = checks.author(body, ("bot", "user"))
    if author == "user" and conversation.channel != "ChatAPI":
        raise invalid_parameter("authorType user is only allowed for CHAT_API channels")
    conversation.read_at[author] = checks.whole_number(body, "readAt", 0, 2**63 - 1)
    world.signals.wake(conversation.id)


HANDLERS = [typing, thinking, read_receipt]
