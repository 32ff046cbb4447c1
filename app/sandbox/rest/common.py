"""What the REST handlers share: the caller's tenant, finding things, answering."""

from typing import TypeAlias

import msgspec
from litestar import Request, Response
from litestar.datastructures import State

from app.sandbox.model import Conversation, Message, Tenant
from app.sandbox.rest.problems import Problem, entity_not_found, not_found
from app.sandbox.world import World

TenantRequest: TypeAlias = Request[None, Tenant, State]
"""A request that the gate let in: `auth` is the tenant."""

HAL = "application/hal+json"


def hal(payload: object, status: int = 200) -> Response[bytes]:
    """A HAL answer."""
    return Response(msgspec.json.encode(payload), status_code=status, media_type=HAL)


def empty(status: int) -> Response[bytes]:
    """An answer without a body."""
    return Response(b"", status_code=status, media_type="text/plain")


def conversation(
    world: World, request: TenantRequest, identifier: str, *, newer: bool = False
) -> Conversation:
    """The tenant's conversation. Raises Problem (404), in the `newer` calls' shape where asked."""
    found = world.store.conversations.get(identifier)
    if found is None or found.tenant != request.auth.id:
        raise (entity_not_found if newer else not_found)("Conversation", identifier)
    return found


def message(found: Conversation, identifier: str, *, newer: bool = False) -> Message:
    """A message of the conversation. Raises Problem (404), in the `newer` calls' shape where asked."""
    stored = found.find_message(identifier)
    if stored is None:
        raise (entity_not_found if newer else not_found)("Message", identifier)
    return stored


def answer_problem(_: Request[object, object, State], problem: Problem) -> Response[bytes]:
    """A Problem as a response."""
    return Response(
        problem.body(),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=problem.headers,
    )
