"""Writing a draft: one transaction, and the first of its deliveries taken with it."""

from __future__ import annotations

from app.conversation.at_once import write_at_once
from app.conversation.changes import Row
from app.conversation.draft import Draft
from app.conversation.owned import owned
from app.conversation.privacy.sealed import seal_changes
from app.conversation.sending import Sending, first_attempt, not_yet
from app.conversation.services import Services
from app.conversation.store import write


async def commit(services: Services, draft: Draft, *, turn: bool = False) -> Sending | None:
    """Write the draft and start a new one's worth of memory; what is to be sent at once, if anything.

    Raises OwnershipLost when another worker has the conversation. After any error the conversation's memory
    must be read again.
    """
    state, changes, endpoint = draft.state, draft.changes, draft.endpoint
    if state.control == "human":
        draft.withhold("a human has the conversation")
    attempts: list[Row] = []
    sending: Sending | None = None
    waiting = [row for row in changes.deliveries if row["status"] == "waiting"]
    if waiting and not services.pauses.paused(endpoint.name):
        alone = len(waiting) == 1
        sending, attempt = first_attempt(waiting[0], draft.now, endpoint.deliveries.timeout, alone=alone)
        attempts.append(attempt)
    if endpoint.encrypt:
        seal_changes(changes)
    if await write_at_once(services.engine, state, changes, attempts, turn=turn):
        return sending
    async with owned(services.engine, state, turn=turn) as holding:
        if sending is not None and holding.busy:
            not_yet(waiting[0])
            sending, attempts = None, []
        await write(holding, state, changes, attempts)
        if changes.only_echoes:
            holding.is_repeatable()
    return sending
