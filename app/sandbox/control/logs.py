"""Look at what passed, and wait for it."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter

from app.sandbox import schema
from app.sandbox.control.common import API, rest_view, webhook_view
from app.sandbox.control.conversations import Limit, Since, Timeout
from app.sandbox.log import WebhookRecord
from app.sandbox.world import World


@get(API + "/webhooks")
async def webhooks(
    world: NamedDependency[World],
    since: Since = 0,
    limit: Limit = 1000,
    conversation: FromQuery[str | None] = None,
    event_type: FromQuery[str | None] = None,
) -> schema.Webhooks:
    """The newest webhook records after `since`."""
    found = [
        record
        for record in world.log.webhooks
        if record.seq > since
        and conversation in (None, record.conversation)
        and event_type in (None, record.event_type)
    ]
    return schema.Webhooks([webhook_view(record) for record in found[-limit:]], world.courier.pending)


@get(API + "/webhooks/{event_id:str}")
async def webhook(
    event_id: FromPath[str], world: NamedDependency[World], timeout: Timeout = 0.0
) -> schema.WebhookView:
    """One record; with a timeout, once it is settled or time is up."""
    record = world.log.webhook(event_id)
    if record is None:
        raise NotFoundException(f"the log has no event {event_id}")

    def look() -> WebhookRecord | None:
        return record if record.settled else None

    await world.signals.until(event_id, look, timeout)
    return webhook_view(record)


@get(API + "/settled")
async def settled(world: NamedDependency[World], timeout: Timeout = 0.0) -> schema.Settled:
    """Wait until no webhook is on its way."""
    done = await world.settled(timeout)
    return schema.Settled(done, world.courier.pending)


@get(API + "/rest")
async def rest(
    world: NamedDependency[World],
    since: Since = 0,
    limit: Limit = 1000,
    conversation: FromQuery[str | None] = None,
    operation: FromQuery[str | None] = None,
    refused: Annotated[bool | None, QueryParameter(description="only those refused, or not refused")] = None,
) -> schema.RestCalls:
    """The newest REST records after `since`."""
    found = [
        record
        for record in world.log.rest
        if record.seq > since
        and conversation in (None, record.conversation)
        and operation in (None, record.operation)
        and refused in (None, record.refused)
    ]
    return schema.RestCalls([rest_view(record) for record in found[-limit:]])


HANDLERS = [webhooks, webhook, settled, rest]
