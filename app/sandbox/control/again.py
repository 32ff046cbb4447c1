"""Send a logged REST call again, as the endpoint would."""

import httpx
from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath

from app.sandbox import schema
from app.sandbox.control.common import API
from app.sandbox.log import RestRecord
from app.sandbox.world import World
from app.tls import certificates

AnyRequest = Request[object, object, State]
KEPT_HEADERS = ("content-type", "accept", "x-8x8-tenant")
PATIENCE = 30.0


@post(API + "/rest/{seq:int}/resend")
async def resend(seq: FromPath[int], request: AnyRequest, world: NamedDependency[World]) -> schema.Again:
    """The same request over a connection of its own, faults and all; it gets a record of its own.

    The API key is the tenant's own; a call that was refused for its key is sent without one.
    """
    record = world.log.call(seq)
    if record is None:
        raise NotFoundException(f"the log has no call {seq} any more")
    if len(record.request_body) >= world.config.limits.logged_body:
        raise ClientException("the request is too long to be kept whole", status_code=409)
    async with httpx.AsyncClient(
        base_url=_own_address(request),
        verify=certificates(trust_env=False),
        trust_env=False,
        timeout=PATIENCE,
    ) as http:
        try:
            answer = await http.request(
                record.method, record.path, content=record.request_body, headers=_headers(record, world)
            )
        except httpx.HTTPError as error:
            return schema.Again(None, type(error).__name__)
    return schema.Again(answer.status_code, None)


def _headers(record: RestRecord, world: World) -> dict[str, str]:
    headers = {name: value for name, value in record.request_headers.items() if name in KEPT_HEADERS}
    tenant = world.store.tenants.get(record.tenant or "")
    if tenant is not None:
        headers["x-api-key"] = tenant.api_key
        headers.setdefault("x-8x8-tenant", tenant.id)
    return headers


def _own_address(request: AnyRequest) -> str:
    """Where this request came in."""
    server = request.scope["server"]
    if server is None or server[1] is None:
        raise ClientException("the sandbox can't call itself here", status_code=409)
    host, port = server
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


HANDLERS = [resend]
