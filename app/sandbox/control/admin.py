"""Tenants, health, and starting over; files behind pre-signed links."""

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody

from app.sandbox import schema
from app.sandbox.config import TenantConfig
from app.sandbox.control.common import API
from app.sandbox.model import Tenant
from app.sandbox.post import PostFailed
from app.sandbox.rest.attachments import as_download
from app.sandbox.world import World


@get(API + "/health")
async def health() -> schema.Health:
    """The sandbox is up."""
    return schema.Health("ok")


@post(API + "/reset")
async def reset(world: NamedDependency[World]) -> schema.Health:
    """Forget conversations, logs, faults and what is on its way."""
    await world.reset()
    return schema.Health("ok")


@get(API + "/tenants")
async def tenants(world: NamedDependency[World]) -> schema.Tenants:
    """All tenants."""
    return schema.Tenants([_view(world, tenant) for tenant in world.store.tenants.values()])


@put(API + "/tenants/{tenant_id:str}")
async def put_tenant(
    tenant_id: FromPath[str], data: JSONBody[schema.TenantBody], world: NamedDependency[World]
) -> schema.TenantView:
    """Add a tenant or replace it; webhooks not named stay."""
    config = TenantConfig(tenant_id, data.api_key, data.customer_id, data.webhooks, data.queues, data.script)
    return _view(world, world.store.put_tenant(config))


@post(API + "/tenants/{tenant_id:str}/verify", status_code=200)
async def verify(tenant_id: FromPath[str], world: NamedDependency[World]) -> schema.Verified:
    """Send a WEB_HOOK_VERIFY to each of a tenant's webhooks."""
    tenant = world.store.tenants.get(tenant_id)
    if tenant is None:
        raise NotFoundException(f"there is no tenant {tenant_id}")
    urls = dict.fromkeys(_view(world, tenant).webhooks.values())
    if not urls:
        return schema.Verified(False, "it has no webhook")
    for url in urls:
        try:
            status = await world.courier.verify(url)
        except PostFailed as error:
            return schema.Verified(False, str(error))
        if not 200 <= status < 300:
            return schema.Verified(False, f"its webhook answers {status}")
    return schema.Verified(True)


@get("/sandbox/files/{conversation_id:str}/{attachment_id:str}")
async def file(
    conversation_id: FromPath[str],
    attachment_id: FromPath[str],
    expires: FromQuery[int],
    signature: FromQuery[str],
    world: NamedDependency[World],
) -> Response[bytes]:
    """A file's content by pre-signed link; no key is needed."""
    conversation = world.store.conversations.get(conversation_id)
    found = conversation.attachments.get(attachment_id) if conversation else None
    if found is None or not world.store.link_is_good(conversation_id, attachment_id, expires, signature):
        raise NotFoundException("the link is unknown or has expired")
    return as_download(found)


def _view(world: World, tenant: Tenant) -> schema.TenantView:
    urls = {}
    for channel in world.store.channels.values():
        webhook = world.store.webhooks.get(channel.webhook_id or "")
        if channel.tenant == tenant.id and webhook is not None:
            urls[channel.type] = webhook.uri
    return schema.TenantView(
        tenant.id, tenant.label or tenant.id, tenant.customer_id, dict(tenant.queues), tenant.script, urls
    )


HANDLERS = [health, reset, tenants, put_tenant, verify, file]
