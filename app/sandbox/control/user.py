"""Play the user."""

from litestar import post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromPath, JSONBody

from app.sandbox import schema
from app.sandbox.control.common import ONE, find, posted
from app.sandbox.world import World

USER = ONE + "/user"


@post(USER + "/text")
async def text(
    conversation_id: FromPath[str], data: JSONBody[schema.Say], world: NamedDependency[World]
) -> schema.Posted:
    """The user writes."""
    return posted(world.customer.say(find(world, conversation_id), data.text))


@post(USER + "/quick-reply")
async def quick_reply(
    conversation_id: FromPath[str], data: JSONBody[schema.QuickReply], world: NamedDependency[World]
) -> schema.Posted:
    """The user clicks a quick reply."""
    conversation = find(world, conversation_id)
    title, payload = data.title, data.payload
    if data.option is not None:
        title, payload = world.customer.option(conversation, data.option)
    if title is None:
        raise ClientException("option or title is needed")
    event_id = world.customer.quick_reply(conversation, title, payload)
    return schema.Posted(conversation.id, event_id=event_id)


@post(USER + "/card")
async def card(
    conversation_id: FromPath[str], data: JSONBody[schema.CardUse], world: NamedDependency[World]
) -> schema.Posted:
    """The user submits or executes a card."""
    conversation = find(world, conversation_id)
    event_id = world.customer.card(conversation, data.type, data.data, data.card_id)
    return schema.Posted(conversation.id, event_id=event_id)


@post(USER + "/file")
async def file(
    conversation_id: FromPath[str], data: JSONBody[schema.SendFile], world: NamedDependency[World]
) -> schema.Posted:
    """The user sends a file."""
    conversation = find(world, conversation_id)
    added = world.customer.add_file(conversation, data.file_name, data.content, data.content_type)
    return posted(world.customer.say(conversation, data.text, [added.id]))


@post(USER + "/activity")
async def activity(
    conversation_id: FromPath[str], data: JSONBody[schema.Activity], world: NamedDependency[World]
) -> schema.Posted:
    """Any activity of the user."""
    conversation = find(world, conversation_id)
    event_id = world.customer.activity(conversation, data.name, data.value)
    return schema.Posted(conversation.id, event_id=event_id)


@post(USER + "/typing")
async def typing(
    conversation_id: FromPath[str], data: JSONBody[schema.Typing], world: NamedDependency[World]
) -> schema.Posted:
    """The user begins or stops typing."""
    conversation = find(world, conversation_id)
    return schema.Posted(conversation.id, event_id=world.customer.typing(conversation, data.on))


@post(USER + "/leave")
async def leave(
    conversation_id: FromPath[str],
    world: NamedDependency[World],
) -> schema.Posted:
    """The user leaves."""
    conversation = find(world, conversation_id)
    world.customer.leave(conversation)
    return schema.Posted(conversation.id)


@post(ONE + "/idle")
async def idle(
    conversation_id: FromPath[str],
    world: NamedDependency[World],
) -> schema.Posted:
    """The interaction ends by itself."""
    conversation = find(world, conversation_id)
    world.gateway.end(conversation)
    return schema.Posted(conversation.id)


HANDLERS = [text, quick_reply, card, file, activity, typing, leave, idle]
