"""Conversations: create, list, read, change, participants, interactions, what follows the agent."""

from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox.model import Conversation, JsonObject, NewMessage, iso
from app.sandbox.rest import checks, common, fiql, hal, views
from app.sandbox.rest.common import TenantRequest
from app.sandbox.rest.problems import entity_not_found, general, invalid_field
from app.sandbox.rest.route import PREFIX
from app.sandbox.world import World

ALL = PREFIX + "/conversations"
ONE = ALL + "/{conversation_id:str}"


@post(ALL, status_code=202)
async def create(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """A conversation from someone else's channel, assigned to a queue or script."""
    tenant = request.auth
    body = checks.json_object(await request.body())
    channel = world.store.channels.get(str(body.get("channelId")))
    if channel is None or channel.tenant != tenant.id or not isinstance(body["channelId"], str):
        given = body.get("channelId")
        raise invalid_field("channelId", given, "invalid_channel", f"Channel ID {given} is invalid.")
    user = checks.user_data(body.get("user"))
    wanted = body.get("assignment", {"type": "queue", "id": channel.queue})
    assignment = checks.assignment(wanted, tenant.queues, tenant.script)
    history = _history(body.get("history"))
    conversation = world.gateway.start(tenant, channel, user, assignment, history=history)
    answer = {"conversationId": conversation.id, "createdAt": iso(conversation.created_at)}
    return common.hal(answer, 202)


@get(ALL)
async def list_all(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """The tenant's conversations, by id."""
    found = list(world.store.conversations_of(request.auth.id))
    found = fiql.chosen(found, views.conversation, request.query_params.get("filter"))
    descending = hal.direction(request.query_params, "id", "asc")
    found.sort(key=lambda conversation: conversation.id, reverse=descending)
    return common.hal(
        hal.page("conversations", found, views.conversation, request.query_params, request.scope["path"])
    )


@get(ONE)
async def read(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """State, assignment and user."""
    return common.hal(views.conversation(common.conversation(world, request, conversation_id)))


@patch(ONE, status_code=202)
async def change(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Change the assignment, the user's data, or both; what isn't named stays."""
    conversation = common.conversation(world, request, conversation_id)
    return await _update(conversation, request, world, replace=False)


@put(ONE, status_code=202)
async def replace(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """The same, with the user's data replaced."""
    conversation = common.conversation(world, request, conversation_id)
    return await _update(conversation, request, world, replace=True)


@post(ONE + "/post-agent-assignment", status_code=201)
async def post_agent_assignment(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Have the bot get the conversation back when the agent is done."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    body = checks.json_object(await request.body())
    identifier = checks.post_agent_assignment(body)
    webhook = world.store.webhooks.get(identifier)
    if webhook is None or webhook.tenant != request.auth.id:
        raise entity_not_found("Webhook", identifier)
    conversation.post_agent_assignment = body
    world.signals.wake(conversation.id)
    return common.empty(201)


@get(ONE + "/participants")
async def participants(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Everybody who joined."""
    found = common.conversation(world, request, conversation_id, newer=True)
    everybody = list(found.participants.values())
    path = request.scope["path"]
    return common.hal(hal.page("participants", everybody, views.participant, request.query_params, path))


@patch(ONE + "/participants/user", status_code=204)
async def remove_user(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """The user leaves: the interaction is over."""
    conversation = common.conversation(world, request, conversation_id)
    if checks.json_object(await request.body()).get("removed") is not True:
        raise general(400, "removed has to be true", "invalid_parameter")
    world.customer.leave(conversation)


@get(ONE + "/interactions")
async def interactions(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """The cases within the conversation."""
    found = common.conversation(world, request, conversation_id).interactions
    path = request.scope["path"]
    return common.hal(hal.page("interactions", found, views.interaction, request.query_params, path))


async def _update(
    conversation: Conversation, request: TenantRequest, world: World, *, replace: bool
) -> Response[bytes]:
    tenant = request.auth
    body = checks.json_object(await request.body())
    user = checks.user_data(body["user"]) if "user" in body else None
    assignment = None
    if "assignment" in body:
        assignment = checks.assignment(body["assignment"], tenant.queues, tenant.script)
    if user is not None:
        conversation.user = checks.user_data(user if replace else _merged(conversation.user, user))
    if assignment is not None:
        world.gateway.assign(conversation, assignment)
    elif user is not None:
        world.gateway.announce(conversation)
    return common.hal(views.conversation(conversation), 202)


def _merged(old: JsonObject, new: JsonObject) -> JsonObject:
    merged = {**old, **new}
    before, after = old.get("additionalProperties"), new.get("additionalProperties")
    if isinstance(before, list) and isinstance(after, list):
        by_key = {item["key"]: item for item in [*before, *after]}
        merged["additionalProperties"] = list(by_key.values())
    return merged


def _history(value: object) -> list[NewMessage]:
    if value is None:
        return []
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list):
        raise general(400, "history needs messages, an array", "invalid_history")
    if len(messages) > checks.MAX_HISTORY:
        raise general(400, f"history has at most {checks.MAX_HISTORY} messages", "invalid_history")
    for message in messages:
        if not isinstance(message, dict):
            raise general(400, "Each message of history has to be an object", "invalid_history")
    return [checks.new_message(message, {}) for message in messages]


HANDLERS = [
    create,
    list_all,
    read,
    change,
    replace,
    post_agent_assignment,
    participants,
    remove_user,
    interactions,
]
