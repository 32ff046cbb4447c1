"""Uploads the files that a delivery refers to, before its message is sent.

8x8's id of a file is kept as soon as it is known, by whoever holds the conversation then: what has been
uploaded is not uploaded again, however often the message is tried. An upload whose answer was lost is made
again: nobody sees it but in a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.conversation.owned import owned
from app.conversation.services import Services
from app.conversation.state import ConversationState
from app.endpoints import Endpoint
from app.files import rows
from app.files.store import NoSuchFile, StorageFailed
from app.gateway.multipart import Upload
from app.gateway.outcome import InDoubt, Outcome, Refused, Retry, Sent
from app.gateway.outgoing import placed

#: Bytes a second that an upload is expected to have at least, beside the time of any request.
_SLOWEST = 500_000


async def with_files(
    services: Services, state: ConversationState, endpoint: Endpoint, body: Mapping[str, Any], keys: list[str]
) -> dict[str, Any] | Outcome:
    """The request's JSON with 8x8's ids of its files; else how the upload of one ended.

    When it returns, the conversation was still ours a moment ago. Raises OwnershipLost.
    """
    async with owned(services.engine, state) as holding:
        known = await rows.said(holding, state.id, keys)
    told = {
        each["file"]: each for each in body["attachments"] if isinstance(each, Mapping) and "file" in each
    }
    ids: dict[str, str] = {}
    for key in dict.fromkeys(keys):
        if key not in known:
            return Refused(410, "the file is no longer stored")
        found = known[key] or await _upload(services, state, endpoint, key, told[key])
        if not isinstance(found, str):
            return found
        ids[key] = found
    return placed(body, ids)


async def _upload(
    services: Services, state: ConversationState, endpoint: Endpoint, key: str, about: Mapping[str, Any]
) -> str | Outcome:
    """Upload one file: its id, or how that ended."""
    if services.files is None:
        return Retry(None, None, "this process has no storage of files")
    try:
        content = await services.files.store.get(key)
    except NoSuchFile:
        return Refused(410, "the file is no longer stored")
    except StorageFailed:
        return Retry(None, None, "the storage of files did not give the file")
    file = Upload(str(about.get("name") or "file"), str(about.get("type") or ""), content)
    timeout = endpoint.deliveries.timeout + len(content) / _SLOWEST
    outcome, identity = await services.gateway.upload(endpoint, state.external_id, file, timeout=timeout)
    if isinstance(outcome, InDoubt):
        return Retry(outcome.after, outcome.status, outcome.reason)
    if identity is None:
        assert not isinstance(outcome, Sent)
        return outcome
    async with owned(services.engine, state) as holding:
        await rows.uploaded(holding, key, identity)
    return identity
