"""Events as one likes them: sent raw, signed for others to send, sent again."""

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, JSONBody

from app.sandbox import schema
from app.sandbox.control.common import API, ONE, find, webhook_view
from app.sandbox.log import WebhookRecord
from app.sandbox.model import Conversation, new_id, now_ms
from app.sandbox.signature import Stamp
from app.sandbox.world import World


@post(ONE + "/events")
async def send(
    conversation_id: FromPath[str], data: JSONBody[schema.RawEvent], world: NamedDependency[World]
) -> schema.WebhookView:
    """Send any event to the conversation's webhook."""
    conversation = find(world, conversation_id)
    body, kind = _body(data.event, data.body)
    record = world.gateway.record(conversation, kind, body, data.event_id)
    special = (data.signature, data.tenant, data.customer, data.retry, data.clock_offset_ms, data.headers)
    if all(value is None for value in special):
        world.courier.send(record, world.store.tenants[conversation.tenant].customer_id)
        return webhook_view(record)
    world.log.add_webhook(record)
    await _send_once(world, conversation, record, data)
    return webhook_view(record)


@post(API + "/webhooks/{event_id:str}/resend")
async def resend(event_id: FromPath[str], world: NamedDependency[World]) -> schema.WebhookView:
    """Send a logged event again, with the same id, body and attempt number, freshly signed."""
    record = world.log.webhook(event_id)
    conversation = world.store.conversations.get(record.conversation) if record else None
    if record is None or conversation is None:
        raise NotFoundException(f"the log has no event {event_id} any more")
    again = world.gateway.record(conversation, record.event_type, record.body, event_id)
    world.log.add_webhook(again)
    await _send_once(world, conversation, again, schema.RawEvent())
    return webhook_view(again)


@post(API + "/sign", status_code=200)
async def sign(
    data: JSONBody[schema.SignBatch],
    world: NamedDependency[World],
) -> schema.SignedBatch:
    """Sign events that somebody else sends: a load generator does this beforehand."""
    return schema.SignedBatch([_signed(item, world) for item in data.events])


async def _send_once(
    world: World, conversation: Conversation, record: WebhookRecord, data: schema.RawEvent
) -> None:
    if record.url is None:
        record.outcome = "no_webhook"
        return
    stamp = Stamp(
        data.tenant or conversation.tenant,
        data.customer or world.store.tenants[conversation.tenant].customer_id,
        record.event_id,
        data.retry or 0,
        now_ms() + (data.clock_offset_ms or 0),
    )
    headers = world.courier.headers_for(stamp, record.body, data.signature or "valid")
    taken = await world.courier.attempt(record, stamp, headers | (data.headers or {}))
    record.outcome = "delivered" if taken else "given_up"
    world.signals.wake(record.event_id)


def _signed(item: schema.SignItem, world: World) -> schema.SignedView:
    conversation = find(world, item.conversation)
    tenant = world.store.tenants[conversation.tenant]
    body, _ = _body(item.event, item.body)
    event_id = item.event_id or new_id()
    stamp = Stamp(tenant.id, tenant.customer_id, event_id, item.retry, item.transmission_time or now_ms())
    headers = world.courier.headers_for(stamp, body, "valid")
    return schema.SignedView(event_id, world.store.webhook_url(conversation), headers, body.decode())


def _body(event: schema.JsonObject | None, body: str | None) -> tuple[bytes, str]:
    if body is not None:
        return body.encode(), "RAW"
    if event is None:
        raise ClientException("event or body is needed")
    return msgspec.json.encode(event), str(event.get("eventType", "RAW"))


HANDLERS = [send, resend, sign]
