"""The public keys that webhook signatures are verified with. No API key is needed."""

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox.rest.problems import not_found
from app.sandbox.rest.route import PREFIX
from app.sandbox.world import World


@get(PREFIX + "/jwk/{kid:str}/public")
async def public_key(
    kid: FromPath[str], request: Request[None, bool, State], world: NamedDependency[World]
) -> Response[bytes]:
    """A JWK; as a JSON string that holds it where a fault says so (`auth` is that flag)."""
    jwk = world.keys.public(kid)
    if jwk is None:
        raise not_found("Jwk", kid)
    text = msgspec.json.encode(jwk)
    if request.auth:
        text = msgspec.json.encode(text.decode())
    return Response(text, media_type="application/json")


HANDLERS = [public_key]
