"""Prefect's automations are installed once, and follow the deployment that they start."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import DoNothing, RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore

from flows.automations import _make, dead_letters, zombies


class Server:
    """Prefect's automations, in memory."""

    def __init__(self) -> None:
        self.there: list[Automation] = []

    async def read_automations_by_name(self, name: str) -> list[Automation]:
        return [each for each in self.there if each.name == name]

    async def create_automation(self, automation: AutomationCore) -> UUID:
        self.there.append(Automation(id=uuid4(), **automation.model_dump()))
        return self.there[-1].id

    async def update_automation(self, id: UUID, automation: AutomationCore) -> None:
        self.there = [
            Automation(id=id, **automation.model_dump()) if each.id == id else each for each in self.there
        ]


async def made(server: Server, automation: AutomationCore) -> list[str]:
    return await _make(cast(PrefectClient, cast(Any, server)), automation)


async def test_what_is_there_stays_as_it_is() -> None:
    server, report = Server(), uuid4()
    for automation in (zombies(), dead_letters(report)):
        assert await made(server, automation) == [automation.name]
        assert await made(server, automation) == []
    assert len(server.there) == 2


async def test_a_deployment_that_was_made_anew_is_started_and_the_users_own_action_stays() -> None:
    server, report = Server(), uuid4()
    await made(server, dead_letters(uuid4()))
    own = DoNothing()
    server.there[0].actions.append(own)
    server.there[0].enabled = False
    assert await made(server, dead_letters(report)) == ["Parley: dead letters"]
    [there] = server.there
    started, kept = there.actions
    assert isinstance(started, RunDeployment) and started.deployment_id == report
    assert kept == own and there.enabled is False
