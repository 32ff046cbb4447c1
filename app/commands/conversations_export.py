"""`parley conversations export`: a stored conversation as a scenario file."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import read_settings
from app.commands.database import with_database
from app.conversation.timeline import find_conversations
from app.errors import ConfigurationError
from app.export.masking import Mask, NoMask
from app.export.scenario import as_scenario, as_yaml
from app.export.stored import StoredConversation, read_story


def run(name: str, *, unmasked: bool, output: Path | None) -> None:
    """Write the scenario to `output` or print it. Raises ConfigurationError for none or several."""

    async def read(engine: AsyncEngine) -> list[StoredConversation]:
        found = await find_conversations(engine, name)
        return [await read_story(engine, each["id"]) for each in found]

    found = with_database(read_settings(), read)
    if not found:
        raise ConfigurationError(f"there is no conversation {name}")
    if len(found) > 1:
        names = ", ".join(each.endpoint for each in found)
        raise ConfigurationError(f"{name} is several conversations' (of {names}): give Parley's number")
    [stored] = found
    mask = NoMask() if unmasked else Mask(stored.user, stored.profile)
    text = as_yaml(as_scenario(stored, f"Conversation {name}", mask), masked=not unmasked)
    if output is None:
        print(text, end="")  # noqa: T201
    else:
        output.write_text(text, encoding="utf-8")
