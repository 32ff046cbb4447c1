"""`parley check`: everything that is wrong with endpoints.yaml and its bots."""

from __future__ import annotations

import asyncio
import sys

from app.bots import add_bot_folders
from app.commands.common import read_settings
from app.endpoints import Endpoints
from app.endpoints_file import describe, read_endpoints
from app.settings import Settings


def run(*, files: bool = False) -> int:
    """Print every mistake, or a summary. Returns the exit code: 1 when there is a mistake.

    `files`: try the storage of files and ClamAV, too.
    """
    settings = read_settings()
    add_bot_folders(settings.endpoints)
    endpoints, mistakes = read_endpoints(settings.endpoints, bots=True)
    errors, warnings = _lint(endpoints) if endpoints is not None else ([], [])
    if mistakes:
        print(describe(settings.endpoints, mistakes), file=sys.stderr)  # noqa: T201
    if files and endpoints is not None:
        errors += _tried(endpoints, settings)
    for line in [*errors, *warnings, *_warnings(endpoints, settings)]:
        print(line, file=sys.stderr)  # noqa: T201
    if mistakes or errors or endpoints is None:
        return 1
    for endpoint in endpoints.endpoints:
        tenant = endpoint.eightxeight.tenant or "(pinned by the first verified event)"
        state = {True: "", False: ", disabled", "draining": ", draining"}[endpoint.enabled]
        print(f"{endpoint.name}: {endpoint.flow}, tenant {tenant}{state}")  # noqa: T201
    count = len(endpoints.endpoints)
    print(f"{settings.endpoints}: {count} endpoint{'s' if count != 1 else ''}, no mistakes")  # noqa: T201
    return 0


def _lint(endpoints: Endpoints) -> tuple[list[str], list[str]]:
    """What the linter finds in each bot, as lines: errors and warnings."""
    from app.conversation.lint import lint_bot

    errors: dict[str, None] = {}
    warnings: dict[str, None] = {}
    used = {endpoint.flow for endpoint in endpoints.endpoints if endpoint.enabled}
    for flow in dict.fromkeys(endpoint.flow for endpoint in endpoints.endpoints):
        for finding in lint_bot(flow):
            if finding.rule == "import":
                if flow not in used:  # else it is a mistake of the file, reported already
                    warnings[f"{flow}: warning: {finding.message} [import]"] = None
                continue
            lines = errors if finding.severity == "error" else warnings
            lines[
                f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]"
            ] = None
    return list(errors), list(warnings)


def _warnings(endpoints: Endpoints | None, settings: Settings) -> list[str]:
    from app.endpoints_warnings import warnings_about, without_public_url

    if endpoints is None:
        return []
    local = without_public_url(endpoints) if settings.public_url is None else ()
    return list(dict.fromkeys([*warnings_about(endpoints), *local]))


def _tried(endpoints: Endpoints, settings: Settings) -> list[str]:
    """What does not work of storing and scanning files."""
    from app.files.probe import problems

    async def lines() -> list[str]:
        return [f"error: {line}" async for line in problems(endpoints.files, settings.home)]

    return asyncio.run(lines())
