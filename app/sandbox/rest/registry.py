"""Webhooks and channels: create, list, read, replace, delete, verify."""

from urllib.parse import urlsplit

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox.config import ANY_CHANNEL
from app.sandbox.model import Channel, JsonObject, Tenant, Webhook
from app.sandbox.post import PostFailed
from app.sandbox.rest import checks, common, fiql, hal, views
from app.sandbox.rest.common import TenantRequest
from app.sandbox.rest.problems import general, invalid_field, not_found
from app.sandbox.rest.route import PREFIX
from app.sandbox.world import World

WEBHOOKS = PREFIX + "/webhooks"
CHANNELS = PREFIX + "/channels"
VERSION = "Chat Gateway v1.0"


@get(WEBHOOKS)
async def list_webhooks(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """The tenant's webhooks, by id."""
    found = [webhook for webhook in world.store.webhooks.values() if webhook.tenant == request.auth.id]
    found = fiql.chosen(found, views.webhook, request.query_params.get("filter"))
    found.sort(key=lambda webhook: int(webhook.id), reverse=_descending(request))
    return common.hal(hal.page("webhooks", found, views.webhook, request.query_params, WEBHOOKS))


@post(WEBHOOKS, status_code=200)
async def create_webhook(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """A new webhook."""
    name, uri = _webhook_fields(checks.json_object(await request.body()))
    webhook = Webhook(world.store.next_entity(), request.auth.id, name, uri)
    world.store.webhooks[webhook.id] = webhook
    return common.hal(views.webhook(webhook))


@get(WEBHOOKS + "/{webhook_id:str}")
async def read_webhook(
    webhook_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """One webhook."""
    return common.hal(views.webhook(_webhook(webhook_id, request, world)))


@put(WEBHOOKS + "/{webhook_id:str}")
async def replace_webhook(
    webhook_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Change a webhook as a whole."""
    webhook = _webhook(webhook_id, request, world)
    webhook.name, webhook.uri = _webhook_fields(checks.json_object(await request.body()))
    return common.hal(views.webhook(webhook))


@delete(WEBHOOKS + "/{webhook_id:str}", status_code=204)
async def delete_webhook(
    webhook_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """Delete a webhook: events for its channels go nowhere from now on."""
    del world.store.webhooks[_webhook(webhook_id, request, world).id]


@post(WEBHOOKS + "/verify", status_code=204)
async def verify_webhook(request: TenantRequest, world: NamedDependency[World]) -> None:
    """Send an unsigned WEB_HOOK_VERIFY to a URL, which has to answer 2xx."""
    body = checks.json_object(await request.body())
    checks.text(body, "version")
    uri = _uri(body)
    try:
        status = await world.courier.verify(uri)
    except PostFailed as error:
        raise general(400, f"The webhook could not be reached: {error}", "webhook_unreachable") from error
    if not 200 <= status < 300:
        raise general(400, f"The webhook answered {status}", "webhook_failed")


@get(CHANNELS)
async def list_channels(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """The tenant's channels, by id."""
    own = [channel for channel in world.store.channels.values() if channel.tenant == request.auth.id]
    found = [channel for channel in own if channel.type != ANY_CHANNEL]
    found = fiql.chosen(found, views.channel, request.query_params.get("filter"))
    found.sort(key=lambda channel: int(channel.id), reverse=_descending(request))
    return common.hal(hal.page("channels", found, views.channel, request.query_params, CHANNELS))


@post(CHANNELS, status_code=200)
async def create_channel(request: TenantRequest, world: NamedDependency[World]) -> Response[bytes]:
    """A new ChatAPI channel."""
    body = checks.json_object(await request.body())
    name, webhook, queue = _channel_fields(body, request.auth, world)
    if body.get("type", "ChatAPI") != "ChatAPI":
        raise invalid_field("type", body["type"], "invalid_type", "Only ChatAPI channels can be created.")
    channel = Channel(world.store.next_entity(), request.auth.id, name, "ChatAPI", webhook, queue)
    world.store.channels[channel.id] = channel
    return common.hal(views.channel(channel))


@get(CHANNELS + "/{channel_id:str}")
async def read_channel(
    channel_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """One channel."""
    return common.hal(views.channel(_channel(channel_id, request, world)))


@put(CHANNELS + "/{channel_id:str}")
async def replace_channel(
    channel_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Change a channel as a whole; its type stays."""
    channel = _channel(channel_id, request, world)
    body = checks.json_object(await request.body())
    channel.name, channel.webhook_id, channel.queue = _channel_fields(body, request.auth, world)
    return common.hal(views.channel(channel))


@delete(CHANNELS + "/{channel_id:str}", status_code=204)
async def delete_channel(
    channel_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> None:
    """Delete a channel."""
    del world.store.channels[_channel(channel_id, request, world).id]


def _webhook(identifier: str, request: TenantRequest, world: World) -> Webhook:
    webhook = world.store.webhooks.get(identifier)
    if webhook is None or webhook.tenant != request.auth.id:
        raise not_found("Webhook", identifier)
    return webhook


def _channel(identifier: str, request: TenantRequest, world: World) -> Channel:
    channel = world.store.channels.get(identifier)
    if channel is None or channel.tenant != request.auth.id or channel.type == ANY_CHANNEL:
        raise not_found("Channel", identifier)
    return channel


def _webhook_fields(body: JsonObject) -> tuple[str, str]:
    """Name and URI. `notificationVersion` is required, as 8x8 has it, though its field is `version`."""
    name = checks.text(body, "name")
    for field in ("notificationVersion", "version"):
        given = body.get(field, VERSION if field == "version" else None)
        if given != VERSION:
            raise invalid_field(field, given, "invalid_version", f"{field} has to be {VERSION}")
    return name, _uri(body)


def _uri(body: JsonObject) -> str:
    uri = checks.text(body, "uri", 2048)
    try:
        parts = urlsplit(uri)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not uri.isascii() or any(c.isspace() for c in uri):
        raise invalid_field("uri", uri, "invalid_uri", "uri has to be an absolute http or https URI")
    return uri


def _channel_fields(body: JsonObject, tenant: Tenant, world: World) -> tuple[str, str, str]:
    name = checks.text(body, "name", 255)
    identifier, routing = body.get("webHookId"), body.get("routingOptions")
    webhook = world.store.webhooks.get(identifier) if isinstance(identifier, str) else None
    if webhook is None or webhook.tenant != tenant.id:
        message = f"Webhook ID {identifier} is invalid."
        raise invalid_field("webHookId", identifier, "invalid_webhook", message)
    queue = routing.get("id") if isinstance(routing, dict) and routing.get("type") == "queue" else None
    if not isinstance(queue, str) or queue not in tenant.queues:
        message = f"Queue ID {queue} is invalid."
        raise invalid_field("routingOptions.id", queue, "invalid_queue", message)
    return name, webhook.id, queue


def _descending(request: TenantRequest) -> bool:
    return hal.direction(request.query_params, "id", "asc")


HANDLERS = [
    list_webhooks,
    create_webhook,
    verify_webhook,
    read_webhook,
    replace_webhook,
    delete_webhook,
    list_channels,
    create_channel,
    read_channel,
    replace_channel,
    delete_channel,
]
