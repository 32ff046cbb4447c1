"""A turn as a task run, told to Prefect in one event instead of three.

Prefect's task engine tells of a task run when it is made, when it runs and when it is over. Most turns take a
few milliseconds, so that nobody could see the first two; together with what the engine does for tasks that
are cached, retried or have results, they take more CPU than everything else about a message
(docs/performance.md). So a turn is told of when it is over, with its times; one that takes longer than
`SEEN_AFTER` seconds is told of as running too, so that ops see it. The event is the one that the engine sends
itself, made by Prefect's code.

The id of the request that a turn answers, 8x8's event id, is a tag of its task run (`request:…`), as it is a
field of the log lines of receiver and worker. It costs nothing: the tag is in that same event, and no limits
on tags are asked for, since the engine does that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State, StateDetails, StateType, TaskRun
from prefect.context import FlowRunContext
from prefect.utilities.engine import emit_task_run_state_change_event
from structlog.contextvars import get_contextvars

from flows.telling import telling

#: Seconds after which a turn is told of while it still runs.
SEEN_AFTER = 1.0
#: What a task function's name and module would be: with the turn's number it is unique in its flow run.
TASK_KEY = "turn-flows.conversation"


@asynccontextmanager
async def turn_run(number: int) -> AsyncIterator[None]:
    """The task run `turn {number}` of the open flow run, around what the turn does."""
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None, "a turn is part of a flow run"
    turn = _TurnRun(number, context.flow_run.id)
    seen = asyncio.get_running_loop().call_later(SEEN_AFTER, turn.tell, StateType.RUNNING)
    try:
        yield
    except BaseException as error:
        seen.cancel()
        kind = StateType.FAILED if isinstance(error, Exception) else StateType.CRASHED
        turn.end(kind, f"The turn failed: {type(error).__name__}")
        raise
    seen.cancel()
    turn.end(StateType.COMPLETED)


class _TurnRun:
    """What Prefect is told of one turn."""

    def __init__(self, number: int, flow_run: UUID) -> None:
        self._started = datetime.now(UTC)
        self._run = TaskRun(
            flow_run_id=flow_run,
            name=f"turn {number}",
            task_key=TASK_KEY,
            dynamic_key=str(number),
            run_count=1,
            expected_start_time=self._started,
            start_time=self._started,
        )

    def end(self, kind: StateType, message: str | None = None) -> None:
        """It is over."""
        ended = datetime.now(UTC)
        news: dict[str, Any] = {"end_time": ended, "total_run_time": ended - self._started}
        if request := get_contextvars().get("request"):  # known once the turn has found its input
            news["tags"] = [f"request:{request}"]
        self._run = self._run.model_copy(update=news)
        run, before, state = self._run, self._run.state, self._state(kind, message)
        telling.tell(lambda: emit_task_run_state_change_event(run, before, state))

    def tell(self, kind: StateType) -> None:
        """It is in this state now: Prefect is told at once."""
        state = self._state(kind)
        emit_task_run_state_change_event(self._run, self._run.state, state)
        self._run.state = state

    def _state(self, kind: StateType, message: str | None = None) -> State[None]:
        return State(
            type=kind,
            name=kind.value.capitalize(),
            message=message,
            state_details=StateDetails(flow_run_id=self._run.flow_run_id, task_run_id=self._run.id),
        )
