"""`parley contacts find`, `export` and `erase`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.common import counted, print_json, print_table, read_endpoints_file, read_settings
from app.commands.database import check_endpoints, with_database
from app.contacts.erase import Erased, erase
from app.contacts.erased_runs import runs_left
from app.contacts.files import write_files
from app.contacts.find import Wanted, export, find_contacts
from app.errors import ConfigurationError
from app.files.purge import purge
from app.files.store import StorageFailed, open_store
from app.prefect_environment import prefect_environment
from app.settings import Settings

#: Seconds in which Prefect is to have deleted the runs.
PATIENCE = 10.0


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


def run_export(who: Wanted, *, files: Path | None = None) -> None:
    """Print everything that is stored of the contacts, as JSON; files go into a folder.

    Raises ConfigurationError for nobody, and where the files can't be had.
    """
    settings = read_settings()
    stored = with_database(settings, lambda engine: export(engine, who))
    if not stored["contacts"]:
        raise ConfigurationError("there is no such contact")
    if files is not None:
        store = open_store(read_endpoints_file(settings).files, settings.home)
        try:
            files.mkdir(parents=True, exist_ok=True)
            written = asyncio.run(write_files(store, stored["file"], files))
        except (StorageFailed, OSError) as error:
            raise ConfigurationError(f"the files can't be written: {error}") from error
        print(f"{counted(written, 'file')} written to {files}", file=sys.stderr)  # noqa: T201
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
        if who.email is not None:
            where = "" if who.endpoint else " on every endpoint"
            print(  # noqa: T201
                f"An e-mail that somebody typed is found too{where}: see that all of them are one person.",
                file=sys.stderr,
            )
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
        _delete_runs(settings, erased.runs)


def _delete_runs(settings: Settings, runs: list[UUID]) -> None:
    """Have Prefect delete them, as far as it can now; say which are left."""
    os.environ.update(prefect_environment(settings))
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def delete(engine: AsyncEngine) -> list[UUID]:
        from flows.erasing import delete_erased_runs  # with Prefect, which takes a second to import

        try:
            await delete_erased_runs(engine, within=PATIENCE)
        except Exception as error:
            print(f"Prefect could not be asked: {type(error).__name__}", file=sys.stderr)  # noqa: T201
        return await runs_left(engine, runs)

    if left := with_database(settings, delete):
        print(  # noqa: T201
            "Prefect still names 8x8's conversation ids in these runs, until the sweep deletes them:",
            file=sys.stderr,
        )
        for run in left:
            print(f"  prefect flow-run delete {run}", file=sys.stderr)  # noqa: T201
