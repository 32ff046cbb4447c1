"""The bots that are held against their scripts: every reply says which input it answers.

Copied beside the run's endpoints.yaml and imported by Parley's own processes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.bot import Chat

#: Inputs that one dialog takes; the next one begins another.
ROUNDS = 6
STEPS = Path(os.environ.get("PARLEY_FAULTS_STEPS", "steps.log"))


def work(number: str, idempotency_key: str) -> str:
    """Takes a while, and leaves a line each time it runs."""
    with STEPS.open("a") as file:
        file.write(f"{number} {idempotency_key}\n")
    time.sleep(0.2)
    return f"made {number}"


async def scripted(chat: Chat) -> None:
    """Answers each input with three messages; the last is the same each time, as bots' messages are."""
    message = chat.message
    for left in reversed(range(ROUNDS)):
        number, *wishes = message.text.split()
        chat.session["inputs"] = chat.session.get("inputs", 0) + 1
        await chat.say(f"{number}.1 is input {chat.session['inputs']}")
        made = await chat.step(work, number) if "step" in wishes else "nothing made"
        await chat.say(f"{number}.2 {made}")
        await chat.say("Done.")
        if left:
            message = await chat.receive()


async def desk(chat: Chat) -> None:
    """Hands each wish to a person, and says how that ended."""
    outcome = await chat.handover(queue="101")
    await chat.say(f"{chat.message.text} {outcome.status}")
