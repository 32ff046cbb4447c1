"""Messages and their cards."""

import time

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox import events
from app.sandbox.model import Conversation, JsonObject, Message
from app.sandbox.rest import checks, common, hal, views
from app.sandbox.rest.common import TenantRequest
from app.sandbox.rest.problems import Problem, bad_message, entity_not_found, forbidden
from app.sandbox.rest.route import CARD_PREFIX, PREFIX
from app.sandbox.world import World

MESSAGES = PREFIX + "/conversations/{conversation_id:str}/messages"
CARD = CARD_PREFIX + "/{tenant_id:str}/conversations/{conversation_id:str}/cards/{card_id:str}"


@post(MESSAGES, status_code=202)
async def send_message(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Store a message; its echo follows as an event."""
    conversation = common.conversation(world, request, conversation_id)
    files: dict[str, object] = dict(conversation.attachments)
    try:
        new = checks.new_message(checks.json_object(await request.body()), files)
    except Problem as problem:
        raise bad_message(problem) from problem
    world.gateway.post(conversation, new)
    return common.empty(202)


@get(MESSAGES)
async def read_messages(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """The messages that can be seen by now, newest first unless asked otherwise."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    visible = _visible(conversation)
    if hal.direction(request.query_params, "createdAt", "desc"):
        visible.reverse()
    return common.hal(
        hal.page("messages", visible, views.message, request.query_params, request.scope["path"])
    )


@get(MESSAGES + "/{message_id:str}")
async def read_message(
    conversation_id: FromPath[str],
    message_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> Response[bytes]:
    """One message."""
    conversation = common.conversation(world, request, conversation_id)
    return common.hal(views.message(common.message(conversation, message_id)))


@get(MESSAGES + "/{message_id:str}/cards")
async def read_cards(
    conversation_id: FromPath[str],
    message_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> Response[bytes]:
    """The cards of a message."""
    conversation = common.conversation(world, request, conversation_id, newer=True)
    cards = list(common.message(conversation, message_id, newer=True).cards)
    if hal.direction(request.query_params, "createdAt", "desc"):
        cards.reverse()
    return common.hal(hal.page("cards", cards, views.card, request.query_params, request.scope["path"]))


@put(CARD + "/action-submit", status_code=204)
async def submit_card(
    tenant_id: FromPath[str],
    conversation_id: FromPath[str],
    card_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> None:
    """Mark a card as submitted and tell the endpoint."""
    await _use_card(tenant_id, conversation_id, card_id, request, world, "Action.Submit")


@put(CARD + "/action-execute", status_code=204)
async def execute_card(
    tenant_id: FromPath[str],
    conversation_id: FromPath[str],
    card_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> None:
    """Mark a card as executed and tell the endpoint."""
    await _use_card(tenant_id, conversation_id, card_id, request, world, "Action.Execute")


async def _use_card(
    tenant_id: str, conversation_id: str, card_id: str, request: TenantRequest, world: World, kind: str
) -> None:
    if tenant_id != request.auth.id:
        raise forbidden(f"Tenant {tenant_id} does not belong to customer {request.auth.customer_id}.")
    conversation = common.conversation(world, request, conversation_id, newer=True)
    data = checks.json_object(await request.body())
    card = conversation.find_card(card_id)
    if card is None:
        raise entity_not_found("Card", card_id)
    card.submitted |= kind == "Action.Submit"
    card.executed |= kind == "Action.Execute"
    value: JsonObject = {"type": kind, "data": data}
    world.gateway.tell(conversation, "ACTIVITY", events.activity("adaptiveCard/action", value))


def _visible(conversation: Conversation) -> list[Message]:
    now = time.monotonic()
    return [message for message in conversation.messages if message.visible_at <= now]


HANDLERS = [send_message, read_messages, read_message, read_cards, submit_card, execute_card]
