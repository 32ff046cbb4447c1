"""Try a bot in a unit test: no server, no database, no event loop needed.

    def test_finds_an_order():
        talk = converse(orders)
        talk.says("hi")
        [reply] = talk.says("1001")
        assert "ships on" in reply.text
        talk.clicks("Thanks")
        assert talk.finished

Whatever the bot does is replayed from scratch at every step and must come out the same, as it must in
production, where a bot is replayed at every turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from app.conversation.content import CARD_VERSION
from app.conversation.driver import Bot, DialogStart
from app.conversation.journal import Entry
from app.conversation.jsonvalue import copy_json
from app.conversation.message import Attachment, Message
from app.conversation.needs import Finished, Handover, Need, Receive
from app.conversation.outcome import HandoverOutcome
from app.conversation.rehearsal import NotReplayable, Rehearsal
from app.gateway.meaning import ACTIVITY
from app.gateway.rendering import choices, lead

__all__ = ["NotReplayable", "Reply", "Talk", "converse", "sent_file"]


@dataclass(frozen=True, slots=True)
class SentFile(Attachment):
    """A file that the user sends in a test."""

    content: bytes = b""


def sent_file(content: bytes, *, name: str = "file", type: str = "application/octet-stream") -> SentFile:
    """A file for `talk.says("", attachments=[…])`, which the bot can read."""
    key = f"test/{sha256(content).hexdigest()[:32]}"
    url = f"https://parley.test/files/{key[5:]}"
    return SentFile(
        type=type,
        name=name,
        url=url,
        size=len(content),
        state="stored",
        scan="clean",
        file=key,
        content=content,
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """Something the bot said. `quick_replies` are the titles, `payloads` what they stand for.

    Of typed content `text` is what goes along, buttons that come back are among the quick replies, and
    `content` is the whole of it: {"type", …}. `attachments` have name, type and size; a file at
    an address is not fetched in a test: its size is 0.
    """

    text: str | None
    quick_replies: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    card: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] | None = None
    content: Mapping[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Reply:
        """From an `output` entry's content."""
        options = [choice for choice in choices(content) if "submit" not in choice]
        typed = content.get("type") is not None
        return cls(
            text=lead(content) if typed else content["text"],
            quick_replies=tuple(option["title"] for option in options),
            payloads=tuple(option["payload"] for option in options),
            card=content["card"],
            raw=content["raw"],
            content=dict(content) if typed else None,
            attachments=tuple(map(Attachment.from_json, content.get("attachments") or ())),
        )


def converse(
    bot: Bot,
    *,
    session: Mapping[str, Any] | None = None,
    contact: Mapping[str, Any] | None = None,
    now: datetime | None = None,
    steps: Mapping[str, Callable[..., Any]] | None = None,
    seed: int = 1,
    card_version: str = CARD_VERSION,
) -> Talk:
    """A conversation with a bot, in which you are the user.

    `steps` replaces step functions by name; others really run, sync and async ones. Time stands still at
    `now` (2026-01-01 12:00 UTC) but for `talk.waits`. `card_version`: the endpoint's `adaptive_card_version`.
    """
    start = now or datetime(2026, 1, 1, 12, tzinfo=UTC)
    return Talk(bot, dict(session or {}), dict(contact or {}), start, dict(steps or {}), seed, card_version)


class Talk:
    """What the user does, and what comes of it. Each action returns the replies it brought.

    When the bot raises, the action raises the bot's own exception. When the bot has finished, the next
    message starts it again, with the session it left.
    """

    def __init__(
        self,
        bot: Bot,
        session: dict[str, Any],
        contact: dict[str, Any],
        now: datetime,
        steps: dict[str, Callable[..., Any]],
        seed: int,
        card_version: str,
    ) -> None:
        self._bot = bot
        self._session = session
        self._contact = contact
        self._now = now
        self._steps = steps
        self._seed = seed
        self._card_version = card_version
        self._dialogs = 0
        self._rehearsal: Rehearsal | None = None
        self._news: dict[str, Any] = {}
        self._files: dict[str, bytes] = {}
        self._need: Need = Finished()
        self.replies: list[Reply] = []

    # what the user does

    def says(self, text: str, *, attachments: Sequence[Attachment] = ()) -> list[Reply]:
        """The user writes."""
        return self.sends(Message(text=text, attachments=tuple(attachments)))

    def clicks(self, title: str) -> list[Reply]:
        """The user chooses a quick reply; it must be one of those the bot offered last."""
        offers = next((reply for reply in reversed(self.replies) if reply.quick_replies), Reply(None))
        offered = dict(zip(offers.quick_replies, offers.payloads, strict=True))
        if title not in offered:
            raise AssertionError(f"There is no quick reply {title!r}; offered: {list(offered)}.")
        payload = offered[title]
        data = {"title": title, "payload": payload}
        return self.sends(Message(text=title, payload=payload, kind="quick_reply", data=data))

    def submits(self, data: Mapping[str, Any]) -> list[Reply]:
        """The user submits a card."""
        return self.sends(Message(payload="Action.Submit", kind="card", data=data))

    def sends(self, message: Message) -> list[Reply]:
        """The user sends any message. One of kind "activity" reaches a bot that waits, and starts none."""
        if isinstance(self._need, Handover):
            raise AssertionError(
                "A human has the conversation: the bot gets no messages until talk.handed_over()."
            )
        for attachment in message.attachments:
            if isinstance(attachment, SentFile):
                self._files[str(attachment.file)] = attachment.content
        if not isinstance(self._need, Receive):
            if message.kind == ACTIVITY:
                return []
            self._begin()
        news, self._news = self._news, {}
        return self._feed("input", {"message": message.to_json(), **news})

    def waits(self, seconds: float | timedelta) -> list[Reply]:
        """Time passes; every `receive(timeout=)` that comes to its end meanwhile does."""
        until = self._now + (seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds))
        replies = []
        while isinstance(need := self._need, Receive) and need.timeout is not None:
            due = need.since + timedelta(seconds=need.timeout)
            if due > until:
                break
            self._now = max(self._now, due)
            replies += self._feed("timeout", {})
        self._now = until
        return replies

    def handed_over(
        self,
        status: str = "completed",
        *,
        reason: str | None = None,
        agent_ids: Sequence[str] = (),
        waiting_seconds: float | None = None,
        handling_seconds: float | None = None,
        messages: Sequence[Message] = (),
    ) -> list[Reply]:
        """The handover that the bot asked for ends: completed, cancelled, failed or timed_out."""
        if not isinstance(self._need, Handover):
            raise AssertionError("There is no handover under way.")
        outcome = HandoverOutcome(
            status, reason, tuple(agent_ids), waiting_seconds, handling_seconds, tuple(messages)
        )
        return self._feed("outcome", outcome.to_json())

    def meanwhile(self, news: Literal["queued", "active", "inactive"], *, count: int = 1) -> list[Reply]:
        """Something happens to the handover, and the bot's handler for it (`on_queued` …) is called.

        `count` is what `on_inactive` is told. A bot without that handler says nothing.
        """
        if not isinstance(self._need, Handover):
            raise AssertionError("There is no handover under way.")
        if news not in self._need.params["wants"]:
            return []
        return self._feed("signal", {"count": count} if news == "inactive" else {}, name=news)

    def contact_changes(self, contact: Mapping[str, Any]) -> None:
        """8x8 reports other data of the user: the bot sees them with the next message."""
        self._contact = dict(contact)
        self._news = {"contact": copy_json(self._contact)}

    # what can be asked

    @property
    def session(self) -> dict[str, Any]:
        """chat.session as the bot left it."""
        return copy_json(self._session)  # type: ignore[no-any-return]  # a dict stays one

    @property
    def handover(self) -> dict[str, Any] | None:
        """The parameters of the handover that is under way."""
        return self._need.params if isinstance(self._need, Handover) else None

    @property
    def finished(self) -> bool:
        """Whether the bot has returned."""
        return isinstance(self._need, Finished)

    @property
    def waiting(self) -> bool:
        """Whether the bot waits for the user."""
        return isinstance(self._need, Receive)

    @property
    def timeout(self) -> float | None:
        """Seconds that the bot waits at most, if it waits and there is a limit."""
        return self._need.timeout if isinstance(self._need, Receive) else None

    @property
    def journal(self) -> Sequence[Entry]:
        """The journal of the dialog so far."""
        return self._rehearsal.entries if self._rehearsal is not None else ()

    # how it goes on

    def _begin(self) -> None:
        self._dialogs += 1
        self._news = {}
        start = DialogStart(
            dialog_key=f"talk/{self._dialogs}",
            seed=self._seed + self._dialogs - 1,
            started_at=self._now,
            session=copy_json(self._session),
            contact=copy_json(self._contact),
            card_version=self._card_version,
        )
        self._rehearsal = Rehearsal(
            self._bot, start, clock=lambda: self._now, steps=self._steps, files=self._files
        )

    def _feed(self, kind: str, content: dict[str, Any], *, name: str | None = None) -> list[Reply]:
        rehearsal = self._rehearsal
        assert rehearsal is not None
        self._need = Finished()  # also if the bot raises: what comes next starts it again
        self._need = rehearsal.feed(kind, content, name=name)
        ended = isinstance(self._need, Finished) and self._need.ends_session
        self._session = {} if ended else rehearsal.session
        replies = [Reply.from_json(output) for output in rehearsal.outputs()]
        self.replies += replies
        return replies
