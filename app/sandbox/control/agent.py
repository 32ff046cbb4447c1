"""Play the agent."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.sandbox import schema
from app.sandbox.control.common import API, ONE, conversation_view, find, posted
from app.sandbox.model import Conversation
from app.sandbox.world import World

AGENT = ONE + "/agent"


@get(API + "/queues")
async def queues(world: NamedDependency[World]) -> schema.Queues:
    """All queues and who waits in them."""
    waiting: dict[tuple[str, str], list[Conversation]] = {}
    for conversation in world.store.conversations.values():
        if conversation.queue is not None:
            waiting.setdefault((conversation.tenant, conversation.queue), []).append(conversation)
    views = []
    for tenant in world.store.tenants.values():
        for queue, name in tenant.queues.items():
            line = sorted(waiting.get((tenant.id, queue), ()), key=lambda one: one.queued_at or 0)
            views.append(schema.QueueView(tenant.id, queue, name, [one.id for one in line]))
    return schema.Queues(views)


@post(AGENT + "/accept")
async def accept(
    conversation_id: FromPath[str], data: JSONBody[schema.Accept], world: NamedDependency[World]
) -> schema.ConversationView:
    """Take the conversation out of its queue."""
    conversation = find(world, conversation_id)
    world.desk.accept(conversation, data.agent, joined_event=data.joined_event)
    return conversation_view(world, conversation)


@post(AGENT + "/text")
async def text(
    conversation_id: FromPath[str], data: JSONBody[schema.Say], world: NamedDependency[World]
) -> schema.Posted:
    """The agent writes."""
    return posted(world.desk.say(find(world, conversation_id), data.text))


@post(AGENT + "/typing")
async def typing(
    conversation_id: FromPath[str], data: JSONBody[schema.Typing], world: NamedDependency[World]
) -> schema.Posted:
    """The agent begins or stops typing."""
    conversation = find(world, conversation_id)
    return schema.Posted(conversation.id, event_id=world.desk.typing(conversation, data.on))


@post(AGENT + "/transfer")
async def transfer(
    conversation_id: FromPath[str], data: JSONBody[schema.Transfer], world: NamedDependency[World]
) -> schema.ConversationView:
    """Move the conversation to another queue."""
    conversation = find(world, conversation_id)
    await world.desk.transfer(conversation, data.queue, data.order, data.gap, left_event=data.left_event)
    return conversation_view(world, conversation)


@post(AGENT + "/leave")
async def leave(
    conversation_id: FromPath[str],
    world: NamedDependency[World],
) -> schema.ConversationView:
    """The agent is done."""
    conversation = find(world, conversation_id)
    world.desk.leave(conversation)
    return conversation_view(world, conversation)


HANDLERS = [queues, accept, text, typing, transfer, leave]
