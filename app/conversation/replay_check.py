"""Does a journal fit a bot as it is now? Nothing is sent, run or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.conversation.driver import Bot, DialogStart, Driver
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Failed, Finished, Handover, Need, ReadFile, Receive, StoreFiles


@dataclass(frozen=True, slots=True)
class Fits:
    """The bot does what the journal says."""


def check(
    bot: Bot,
    start: DialogStart,
    entries: Sequence[Entry],
    *,
    status: str = "running",
    files: Mapping[str, bytes] | None = None,
) -> Fits | Diverged | Failed | ReadFile:
    """Replay a journal and compare where it ends with the dialog's `status` (as in the table dialog).

    A waiting dialog must wait at the journal's end: were the bot to say something there first, it would
    diverge at the next input. One that failed may fail again. Failed is returned where a bot that did not
    fail does so now, ReadFile where the bot reads a file that isn't among `files`.
    """
    last = entries[-1].at if entries else start.started_at
    with Driver(bot, start, entries, now=lambda: last) as driver:
        for key, content in (files or {}).items():
            driver.provide(key, content)
        need = driver.run()
        produced = [each for each in driver.drain() if each[1].kind != "note"]
    if isinstance(need, Diverged | ReadFile):
        return need
    if isinstance(need, Failed):
        return Fits() if status == "failed" else need
    if status in ("running", "failed"):
        return Fits()
    if produced:
        kind = produced[0][1].kind
        return Diverged(f"the bot wants {kind} where the journal ends, {_where(status)}", produced[0][0])
    if isinstance(need, Finished if status == "completed" else Receive | Handover):
        return Fits()
    return Diverged(f"the bot {_does(need)} where the journal ends, {_where(status)}", len(entries))


def _where(status: str) -> str:
    return "with the dialog over" if status == "completed" else "waiting for the user"


def _does(need: Need) -> str:
    if isinstance(need, StoreFiles):
        return "wants output"
    return "ends" if isinstance(need, Finished) else "waits"
