"""Switch faults on and off; rotate keys."""

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody

from app.sandbox import schema
from app.sandbox.control.common import API
from app.sandbox.faultbook import Entry
from app.sandbox.faults import AnyFault
from app.sandbox.signals import FAULTS
from app.sandbox.world import World


@get(API + "/faults")
async def list_all(world: NamedDependency[World]) -> schema.Faults:
    """All faults, spent ones too."""
    return _all(world)


@put(API + "/faults")
async def replace(
    data: JSONBody[schema.FaultList],
    world: NamedDependency[World],
) -> schema.Faults:
    """These faults and no others; an empty list switches all off."""
    world.faults.clear()
    for fault in data.faults:
        world.faults.add(fault)
    world.signals.wake(FAULTS)
    return _all(world)


@post(API + "/faults")
async def add(data: JSONBody[AnyFault], world: NamedDependency[World]) -> schema.FaultView:
    """One more fault."""
    entry = world.faults.add(data)
    world.signals.wake(FAULTS)
    return _view(entry, True)


@delete(API + "/faults/{fault_id:str}", status_code=200)
async def remove(fault_id: FromPath[str], world: NamedDependency[World]) -> schema.Faults:
    """One fault less."""
    if not world.faults.remove(fault_id):
        raise NotFoundException(f"there is no fault {fault_id}")
    world.signals.wake(FAULTS)
    return _all(world)


@get(API + "/keys")
async def keys(world: NamedDependency[World]) -> schema.Keys:
    """The signing keys' ids."""
    return schema.Keys(world.keys.current.kid, world.keys.kids())


@post(API + "/keys/rotate")
async def rotate(
    data: JSONBody[schema.Rotate],
    world: NamedDependency[World],
) -> schema.Keys:
    """Sign with a new key from now on."""
    world.keys.rotate(forget=data.forget)
    world.signals.wake(FAULTS)
    return schema.Keys(world.keys.current.kid, world.keys.kids())


def _all(world: World) -> schema.Faults:
    return schema.Faults([_view(entry, active) for entry, active in world.faults.entries()])


def _view(entry: Entry, active: bool) -> schema.FaultView:
    return schema.FaultView(entry.id, entry.fault, entry.seen, entry.hits, active)


HANDLERS = [list_all, replace, add, remove, keys, rotate]
