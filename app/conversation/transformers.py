"""The endpoint's transformers at work in a conversation: before the bot gets an input, after it spoke.

They run outside of the replay. What they make is stored: the journal's input is the transformed one, the
deliveries are the transformed outputs (the journal keeps what the bot itself said). So no replay runs them
again; only a crash between a transformer and the commit after it does, as with a step.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.conversation.inputs import Input, session_expired
from app.conversation.journal import Entry, is_said
from app.conversation.needs import Need, RunSteps
from app.conversation.privacy.sanitize import clean_input
from app.conversation.services import Services
from app.conversation.state import ConversationState
from app.database.direct import direct
from app.endpoints import Endpoint
from app.gateway.meaning import Injected
from app.gateway.outgoing import render
from app.gateway.rendering import deliverables
from app.transformers.calling import TransformerFailed, call_transformer, note_failure
from app.transformers.rules import ResultRefused, read_output, read_outputs, read_result, read_storage
from app.transformers.threads import STUCK
from app.transformers.types import InputEvent, OutputEvent, TurnOutputs, endpoint_info

#: After one of these in a journal begins what the bot says in answer to it.
_BOUNDARIES = frozenset({"input", "timeout", "outcome", "signal", "handover"})


@dataclass(frozen=True, slots=True)
class Ready:
    """An input as the bot gets it. `dropped`: it doesn't; `failed`: because the transformer failed."""

    found: Input
    storage: dict[str, Any] | None = None
    dropped: bool = False
    failed: bool = False


@dataclass(slots=True)
class Said:
    """What is delivered instead of a turn's outputs: at their journal positions, and at the end."""

    at: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    end: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many deliveries these are."""
        return len(self.end) + sum(len(contents) for contents in self.at.values())


def spoken(produced: Sequence[tuple[int, Entry]], channel: str | None) -> Said | None:
    """What is delivered of what the bot said, for the channel; None where each output is sent as it is."""
    said = Said()
    for position, entry in produced:
        if is_said(entry):
            parts = deliverables(entry.content, channel)
            if len(parts) > 1 or parts[0] != entry.content:
                said.at[position] = parts
    return said if said.at else None


class Transforming:
    """One conversation's transformers."""

    def __init__(self, services: Services, state: ConversationState) -> None:
        self._services = services
        self._state = state

    @property
    def _endpoint(self) -> Endpoint:
        return self._services.endpoints[self._state.endpoint]

    def changes_outputs(self) -> bool:
        """Whether what the bot says is changed at all."""
        settings = self._endpoint.transformers
        return settings.output is not None or settings.execution_finished is not None

    def needs_preparing(self, found: Input) -> bool:
        """Whether an input must be transformed before it is taken."""
        return self._endpoint.transformers.input is not None and not isinstance(found.meaning, Injected)

    async def input(self, found: Input) -> Ready:
        """An input, transformed and sanitised."""
        endpoint, path = self._endpoint, self._endpoint.transformers.input
        assert path is not None
        message = found.message
        event = InputEvent(
            endpoint=endpoint_info(endpoint),
            payload=copy.deepcopy(found.event.payload or {}),
            message=copy.deepcopy(message),
            user_id=self._user_id(),
            session_id=self._state.external_id,
            text=str(message.get("text") or ""),
            data=copy.deepcopy(message.get("data") or {}),
            storage=self._storage_for(found),
        )
        try:
            given = await call_transformer(endpoint, "input", path, event, report=self._report)
            result, storage = read_result(given), read_storage(event.storage)
        except (TransformerFailed, ResultRefused) as error:
            self._refused(error, "input", path)
            failed = endpoint.transformers.abort_on_error
            return Ready(self.plain(found).found, dropped=failed, failed=failed)
        if result is None:
            return Ready(found, dropped=True)
        news = {
            "user_id": result.user_id,
            "session_id": result.session_id,
            "text": result.text,
            "data": result.data,
        }
        changed = {**message, **{name: value for name, value in news.items() if value is not None}}
        return Ready(self.plain(replace(found, message=changed)).found, storage)

    def plain(self, found: Input) -> Ready:
        """An input that no transformer changes, sanitised."""
        message = clean_input(self._endpoint, found.message)
        return Ready(found if message is found.message else replace(found, message=message))

    async def outputs(self, produced: Sequence[tuple[int, Entry]], need: Need | None) -> Said:
        """What is delivered of what the bot said. `need`: what it wants next; None: it can't go on."""
        said = Said()
        if self._endpoint.transformers.execution_finished is None:
            for position, entry in produced:
                if _to_user(entry):
                    said.at[position] = await self._each(entry.content, said)
            return said
        held = self._held()
        for position, entry in produced:
            if _to_user(entry):
                held.append(entry.content)
                said.at[position] = []
            elif entry.kind == "handover" and entry.name != "close":
                said.at[position] = await self._finished(held, said)
                held = []
        if not isinstance(need, RunSteps):
            said.end = await self._finished(held, said)
        return said

    def _held(self) -> list[dict[str, Any]]:
        """What the bot said earlier in this turn, before a step."""
        held: list[dict[str, Any]] = []
        dialog = self._state.dialog
        for entry in reversed(dialog.entries if dialog is not None else []):
            if entry.kind in _BOUNDARIES:
                break
            if _to_user(entry):
                held.insert(0, entry.content)
        return held

    async def _each(self, content: dict[str, Any], said: Said) -> list[dict[str, Any]]:
        """One output, rendered for the channel, through the output transformer: what is sent of it."""
        parts = deliverables(content, self._state.channel)
        if self._endpoint.transformers.output is None:
            return parts
        return [each for part in parts for each in await self._part(content, part, said)]

    async def _part(self, content: dict[str, Any], part: dict[str, Any], said: Said) -> list[dict[str, Any]]:
        """One of an output's deliveries through the output transformer."""
        endpoint, path = self._endpoint, self._endpoint.transformers.output
        assert path is not None
        rendered = render(part)
        storage = self._storage()
        event = OutputEvent(
            endpoint=endpoint_info(endpoint),
            output=copy.deepcopy(content),
            rendered=copy.deepcopy(rendered),
            user_id=self._user_id(),
            session_id=self._state.external_id,
            storage=storage,
        )
        try:
            given = await call_transformer(endpoint, "output", path, event, report=self._report)
            body = read_output(given)
            self._keep(read_storage(storage))
        except (TransformerFailed, ResultRefused) as error:
            return self._instead(error, "output", path, [part], said)
        return [] if body is None else [_content(body, rendered, part)]

    async def _finished(self, held: list[dict[str, Any]], said: Said) -> list[dict[str, Any]]:
        """All of a turn's outputs through both transformers."""
        path = self._endpoint.transformers.execution_finished
        contents = [each for content in held for each in await self._each(content, said)]
        if path is None or not held:
            return contents
        rendered = [render(content) for content in contents]
        storage = self._storage()
        event = TurnOutputs(
            endpoint=endpoint_info(self._endpoint),
            outputs=tuple(copy.deepcopy(contents)),
            rendered=tuple(copy.deepcopy(rendered)),
            user_id=self._user_id(),
            session_id=self._state.external_id,
            storage=storage,
        )
        kind = "execution_finished"
        try:
            given = await call_transformer(self._endpoint, kind, path, event, report=self._report)
            bodies = read_outputs(given)
            self._keep(read_storage(storage))
        except (TransformerFailed, ResultRefused) as error:
            return self._instead(error, kind, path, contents, said)
        private = {"private": True} if any(content.get("private") for content in held) else {}
        return [
            contents[rendered.index(body)] if body in rendered else _content(body, {}, private)
            for body in bodies
        ]

    def _instead(
        self, error: Exception, kind: str, path: str, original: list[dict[str, Any]], said: Said
    ) -> list[dict[str, Any]]:
        self._refused(error, kind, path)
        if not self._endpoint.transformers.abort_on_error:
            return original
        said.failures.append(kind)
        return []

    def _refused(self, error: Exception, kind: str, path: str) -> None:
        if isinstance(error, ResultRefused):
            note_failure(self._endpoint, kind, path, str(error))

    async def _report(self, endpoint: str) -> None:
        """Ops hear that all threads are held by transformers that hang."""
        async with direct(self._services.engine) as database:
            await database.driver.execute(STUCK, endpoint)

    # what they are told

    def _user_id(self) -> str | None:
        user_id = self._state.contact.get("userId") or self._state.contact.get("msisdn")
        return None if user_id is None else str(user_id)

    def _storage(self) -> dict[str, Any]:
        session = self._state.session
        return copy.deepcopy(session.storage) if session is not None else {}

    def _storage_for(self, found: Input) -> dict[str, Any]:
        """The storage of the session that the input will be in."""
        return {} if session_expired(self._state, self._endpoint, found.event) else self._storage()

    def _keep(self, storage: dict[str, Any]) -> None:
        if self._state.session is not None:
            self._state.session.storage = storage


def _to_user(entry: Entry) -> bool:
    return is_said(entry) and entry.content.get("to") != "agent"


def _content(body: dict[str, Any], rendered: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """A delivery's content for a message in 8x8's form; the bot's own where nothing was changed."""
    if body == rendered:
        return content
    private = {"private": True} if content.get("private") else {}
    return {"text": body.get("text"), "raw": body, **private}
