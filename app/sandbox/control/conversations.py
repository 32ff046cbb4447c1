"""Start conversations, look at them, wait for messages."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from app.sandbox import schema
from app.sandbox.control.common import API, ONE, conversation_view, find, message_view
from app.sandbox.model import Message, Tenant
from app.sandbox.rest import checks
from app.sandbox.rest.attachments import as_download
from app.sandbox.rest.problems import Problem
from app.sandbox.world import World

Since = Annotated[int, QueryParameter(ge=0, description="only what came after this number")]
Timeout = Annotated[float, QueryParameter(ge=0, le=600, description="seconds to wait")]
Limit = Annotated[int, QueryParameter(ge=1, le=100_000)]


@post(API + "/conversations")
async def start(data: JSONBody[schema.Start], world: NamedDependency[World]) -> schema.ConversationView:
    """Start a conversation as a user on a channel."""
    tenant = _tenant(world, data.tenant)
    if data.id is not None and data.id in world.store.conversations:
        raise ClientException(f"there is a conversation {data.id} already", status_code=409)
    try:
        user = checks.user_data(dict(data.user))
    except Problem as problem:
        raise ClientException(str(problem)) from problem
    channel = world.store.channel_for(tenant, data.channel)
    conversation = world.gateway.start(
        tenant,
        channel,
        user,
        conversation_id=data.id,
        announce=data.announce,
        is_test=data.is_test,
    )
    return conversation_view(world, conversation)


@get(API + "/conversations")
async def list_all(world: NamedDependency[World], limit: Limit = 1000) -> schema.Conversations:
    """The conversations, newest first."""
    newest = list(world.store.conversations.values())[: -limit - 1 : -1]
    return schema.Conversations([conversation_view(world, conversation) for conversation in newest])


@get(ONE)
async def read(
    conversation_id: FromPath[str],
    world: NamedDependency[World],
) -> schema.ConversationView:
    """One conversation."""
    return conversation_view(world, find(world, conversation_id))


@get(ONE + "/messages")
async def messages(
    conversation_id: FromPath[str],
    world: NamedDependency[World],
    since: Since = 0,
    author: FromQuery[str | None] = None,
    at_least: Annotated[int, QueryParameter(ge=1)] = 1,
    timeout: Timeout = 0.0,
) -> schema.Messages:
    """The messages after `since`, by `author` type if named.

    With a timeout: as soon as there are `at_least` so many, or those there are when time is up.
    """
    conversation = find(world, conversation_id)

    def look() -> list[Message] | None:
        found = [
            message
            for message in conversation.messages
            if message.seq > since and author in (None, message.author_type)
        ]
        return found if len(found) >= at_least else None

    await world.signals.until(conversation.id, look, timeout)
    at_least = 0
    return schema.Messages([message_view(world, message) for message in look() or []], world.store.last_seq)


@get(ONE + "/files/{file_id:str}")
async def file(
    conversation_id: FromPath[str], file_id: FromPath[str], world: NamedDependency[World]
) -> Response[bytes]:
    """A file's bytes, for as long as the file is kept: 8x8's links expire."""
    found = find(world, conversation_id).attachments.get(file_id)
    if found is None:
        raise NotFoundException(f"there is no file {file_id}")
    return as_download(found)


@get(API + "/messages")
async def all_messages(
    world: NamedDependency[World], since: Since = 0, limit: Limit = 10_000
) -> schema.Messages:
    """The newest messages of all conversations after `since`, in the order they arrived."""
    found: list[Message] = []
    for message in reversed(world.store.recent):
        if message.seq <= since or len(found) >= limit:
            break
        found.append(message)
    found.reverse()
    return schema.Messages([message_view(world, message) for message in found], world.store.last_seq)


def _tenant(world: World, identifier: str | None) -> Tenant:
    tenants = world.store.tenants
    tenant = next(iter(tenants.values()), None) if identifier is None else tenants.get(identifier)
    if tenant is None:
        raise ClientException(f"there is no tenant {identifier}" if identifier else "there is no tenant")
    return tenant


HANDLERS = [start, list_all, read, messages, file, all_messages]
