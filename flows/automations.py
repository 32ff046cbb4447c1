"""Prefect's automations that Parley relies on, installed by `parley deploy` (and so by `parley up`)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.analytics import DEAD_LETTERS

#: A run whose heartbeat (every 30 s) is missing for so long has lost its process.
SILENCE = timedelta(minutes=3)
#: The deployment that writes the table of dead letters.
REPORT = "report-dead-letters/dead-letters"

_HEARTBEAT = "prefect.flow-run.heartbeat"


def zombies(silence: timedelta = SILENCE) -> AutomationCore:
    """Runs that stopped without a word are marked Crashed after so long."""
    ends = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    trigger = EventTrigger(
        after={_HEARTBEAT},
        expect={_HEARTBEAT, *ends},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=silence,
    )
    action = ChangeFlowRunState(state=StateType.CRASHED, message="No sign of life: its process has ended.")
    return _automation("Parley: zombies", "Marks runs whose process died as Crashed.", trigger, action)


def dead_letters(report: UUID) -> AutomationCore:
    """New dead letters are written into an artifact. Add your own notification to it in Prefect's UI."""
    trigger = EventTrigger(
        expect={DEAD_LETTERS},
        match=ResourceSpecification({"prefect.resource.id": ["parley.endpoint.*"]}),
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    action = RunDeployment(deployment_id=report)
    return _automation(
        "Parley: dead letters",
        "Lists deliveries that were given up in the artifact dead-letters.",
        trigger,
        action,
    )


def _automation(name: str, description: str, trigger: EventTrigger, action: ActionTypes) -> AutomationCore:
    return AutomationCore(name=name, description=description, trigger=trigger, actions=[action])


async def install() -> list[str]:
    """Make the automations that are missing, and correct what one starts where that is gone; their names.

    Everything else of those that are there stays as it is.
    """
    async with get_client() as client:
        made = await _make(client, zombies())
        try:
            report = await client.read_deployment_by_name(REPORT)
        except ObjectNotFound:
            return made
        return made + await _make(client, dead_letters(report.id))


async def _make(client: PrefectClient, automation: AutomationCore) -> list[str]:
    there = await client.read_automations_by_name(automation.name)
    if not there:
        await client.create_automation(automation)
        return [automation.name]
    wanted = _started(automation)
    wrong = [each for each in there if wanted and not _started(each) & wanted]
    for each in wrong:
        first = next((action for action in each.actions if isinstance(action, RunDeployment)), None)
        others = [action for action in each.actions if action is not first]
        changed = AutomationCore.model_validate(each.model_dump(exclude={"id"}))
        changed.actions = [*automation.actions, *others]
        await client.update_automation(each.id, changed)
    return [automation.name] if wrong else []


def _started(automation: AutomationCore) -> set[UUID | None]:
    """Deployments that it starts."""
    return {action.deployment_id for action in automation.actions if isinstance(action, RunDeployment)}
