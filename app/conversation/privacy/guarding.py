"""Which values of a conversation no log line may show."""

from __future__ import annotations

from collections.abc import Sequence

from app.conversation.inputs import meaning_of
from app.conversation.privacy.masks import leaves
from app.conversation.state import ConversationState, WaitingEvent
from app.endpoints import Endpoint
from app.gateway.meaning import AgentMessage, Injected, Notice, StateChange, UserInput
from app.sensitive import Sensitive

#: Details of a contact that tell who it is.
_WHO = ("userId", "msisdn", "name", "email", "phone")


class Guard:
    """Keeps one conversation's sensitive values; does nothing unless `mask_sensitive_logging` is set."""

    def __init__(self, state: ConversationState) -> None:
        self._state = state
        self._sensitive: Sensitive | None = None

    def _begun(self) -> Sensitive:
        """What was said in the open session, and what is kept of it."""
        sensitive, session = Sensitive(), self._state.session
        if self._state.heard is not None:
            sensitive.add(self._state.heard.values)
        if session is not None:
            sensitive.add(leaves([session.data, session.storage]))
        return sensitive

    def values(self, endpoint: Endpoint, waiting: Sequence[WaitingEvent]) -> Sensitive | None:
        """What is to be masked now; None: nothing."""
        if not endpoint.mask_sensitive_logging:
            return None
        if self._sensitive is None:
            self._sensitive = self._begun()
        self._sensitive.add(str(self._state.contact[name]) for name in _WHO if self._state.contact.get(name))
        for event in waiting:
            meaning = meaning_of(event)
            if isinstance(meaning, UserInput | Injected | AgentMessage):
                message = {**meaning.message, "kind": None}
                self._sensitive.add(leaves(message))
            elif isinstance(meaning, Notice):
                self._sensitive.add(leaves([meaning.text, meaning.data]))
            elif isinstance(meaning, StateChange):
                self._sensitive.add(leaves({**(meaning.user or {}), "msisdn": meaning.msisdn}))
        return self._sensitive
