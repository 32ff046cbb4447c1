"""What changed, for whoever watches: the stream behind the page.

A watcher is given names of what changed, not the things themselves: many changes of one thing between two
looks are one. So a slow watcher costs little, and nobody watching costs nothing.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from app.sandbox import schema
from app.sandbox.control.common import conversation_view, message_view, rest_view, webhook_view
from app.sandbox.model import Message
from app.sandbox.signals import FAULTS, RESET, REST
from app.sandbox.world import World

MOST_WAITING = 5_000
"""Changes a watcher may be behind; beyond that it is told to load everything anew."""

HEARTBEAT = 15.0
"""Seconds of silence after which a watcher is told that the sandbox is still there."""


class Change(msgspec.Struct):
    """One thing as it is now. `kind` names the view in `data`; "hello" and "reset" have none."""

    kind: str
    data: msgspec.Struct | None = None


class Watcher:
    """One open stream. Use within the sandbox's event loop, and close it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed: dict[str, None] = {}
        self._some = asyncio.Event()
        self._seen_message = world.store.last_seq
        self._seen_webhook = world.log.last_seq
        world.signals.follow(self._note)

    def close(self) -> None:
        """Hear no more."""
        self._world.signals.unfollow(self._note)

    def _note(self, key: str) -> None:
        if len(self._changed) >= MOST_WAITING:
            self._changed = {RESET: None}
        self._changed[key] = None
        self._some.set()

    async def changes(self) -> AsyncIterator[Change | None]:
        """What changed, for ever; None when nothing did for a while."""
        yield Change("hello")
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._some.wait()
            except TimeoutError:
                yield None
                continue
            self._some.clear()
            keys, self._changed = self._changed, {}
            for change in self._rendered(keys):
                yield change

    def _rendered(self, keys: dict[str, None]) -> list[Change]:
        if RESET in keys:
            self._seen_message = self._world.store.last_seq
            self._seen_webhook = self._world.log.last_seq
            return [Change("reset")]
        changes = [change for key in keys if (change := self._one(key)) is not None]
        return [*changes, *self._new_messages(), *self._new_webhooks()]

    def _one(self, key: str) -> Change | None:
        world = self._world
        if key == FAULTS:
            return Change("faults")
        if key.startswith(REST):
            call = world.log.call(int(key.removeprefix(REST)))
            return Change("call", rest_view(call)) if call else None
        if conversation := world.store.conversations.get(key):
            return Change("conversation", conversation_view(world, conversation))
        record = world.log.webhook(key)
        return Change("webhook", webhook_view(record)) if record else None

    def _new_messages(self) -> list[Change]:
        found: list[Message] = []
        for message in reversed(self._world.store.recent):
            if message.seq <= self._seen_message:
                break
            found.append(message)
        self._seen_message = self._world.store.last_seq
        return [Change("message", message_view(self._world, message)) for message in reversed(found)]

    def _new_webhooks(self) -> list[Change]:
        found: list[schema.WebhookView] = []
        for record in reversed(self._world.log.webhooks):
            if record.seq <= self._seen_webhook:
                break
            found.append(webhook_view(record))
        self._seen_webhook = self._world.log.last_seq
        return [Change("webhook", view) for view in reversed(found)]
