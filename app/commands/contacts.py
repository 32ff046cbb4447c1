"""`parley contacts find`, `export` and `erase`."""

from __future__ import annotations

import sys

from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import counted, print_json, print_table, read_endpoints_file, read_settings
from app.commands.database import check_endpoints, with_database
from app.contacts.erase import Erased, erase
from app.contacts.find import Wanted, export, find_contacts
from app.errors import ConfigurationError
from app.files.purge import purge
from app.files.store import open_store


def wanted(id: str | None, email: str | None, phone: str | None, endpoint: str | None) -> Wanted:
    """Which contacts. Raises ConfigurationError when nothing says which."""
    if id is None and email is None and phone is None:
        raise ConfigurationError("say which contact: its ID, --email or --phone")
    return Wanted(id, email, phone, endpoint)


def run_find(who: Wanted, *, as_json: bool) -> None:
    """Print the contacts."""
    settings = read_settings()
    check_endpoints(settings, who.endpoint)
    found = with_database(settings, lambda engine: find_contacts(engine, who))
    if as_json:
        print_json(found)
        return
    columns = ["id", "endpoint", "identity", "active", "last_seen_at", "conversations", "profile"]
    print_table(counted(len(found), "contact"), columns, found)


def run_export(who: Wanted) -> None:
    """Print everything that is stored of the contacts, as JSON. Raises ConfigurationError for nobody."""
    stored = with_database(read_settings(), lambda engine: export(engine, who))
    if not stored["contacts"]:
        raise ConfigurationError("there is no such contact")
    print_json(stored)


def run_erase(who: Wanted, *, yes: bool) -> None:
    """Erase the contacts, after a look at them. Raises ConfigurationError for nobody."""
    settings = read_settings()
    found = with_database(settings, lambda engine: find_contacts(engine, who))
    if not found:
        raise ConfigurationError("there is no such contact")
    if not yes:
        columns = ["id", "endpoint", "identity", "conversations"]
        print_table(f"{counted(len(found), 'contact')} would be erased", columns, found)
        raise ConfigurationError("nothing was erased: add --yes to erase them, there is no way back")
    files = read_endpoints_file(settings).files

    async def erase_all(engine: AsyncEngine) -> Erased:
        done = await erase(engine, who)
        await purge(engine, open_store(files, settings.home), most=1_000_000)
        return done

    erased = with_database(settings, erase_all)
    contacts, conversations = counted(len(erased.contacts), "contact"), len(erased.conversations)
    print(f"{contacts} erased, with {counted(conversations, 'conversation')}")  # noqa: T201
    if erased.runs:
        print("Prefect still names 8x8's conversation ids in these runs:", file=sys.stderr)  # noqa: T201
        for run in erased.runs:
            print(f"  prefect flow-run delete {run}", file=sys.stderr)  # noqa: T201
