"""Writing a draft: one transaction, and the first of its deliveries taken with it."""

from __future__ import annotations

from app.conversation.draft import Draft
from app.conversation.owned import owned
from app.conversation.privacy.sealed import seal_changes
from app.conversation.sending import Sending, first_attempt
from app.conversation.services import Services
from app.conversation.store import write


async def commit(services: Services, draft: Draft, *, turn: bool = False) -> Sending | None:
    """Write the draft and start a new one's worth of memory; what is to be sent at once, if anything.

    Raises OwnershipLost when another worker has the conversation. After any error the conversation's memory
    must be read again.
    """
    state, changes, endpoint = draft.state, draft.changes, draft.endpoint
    sending: Sending | None = None
    async with owned(services.engine, state, turn=turn) as holding:
        attempts = []
        if state.control == "human":
            draft.withhold("a human has the conversation")
        first = next((row for row in changes.deliveries if row["status"] == "waiting"), None)
        if first is not None and not holding.busy and not services.pauses.paused(endpoint.name):
            sending, attempt = first_attempt(first, draft.now, endpoint.deliveries.timeout)
            attempts.append(attempt)
        if endpoint.encrypt:
            seal_changes(changes)
        await write(holding, state, changes, attempts)
        if changes.only_echoes:
            holding.is_repeatable()
    return sending
