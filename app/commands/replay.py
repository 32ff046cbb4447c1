"""`parley replay`: do the bots as they are now still fit what is stored?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from app.bots import load_bot
from app.commands.common import print_json, print_table, read_endpoints_file, read_settings
from app.commands.database import check_endpoints, with_database
from app.commands.deliveries import parse_since
from app.conversation.replay_stored import replay_stored
from app.files.store import open_store


def run(*, endpoint: str | None, since: str | None, as_json: bool) -> int:
    """Replay stored dialogs and print those that don't fit. Returns the exit code: 1 when one doesn't."""
    settings = read_settings()
    file = read_endpoints_file(settings)
    check_endpoints(settings, endpoint)
    endpoints = file.by_name()
    store = open_store(file.files, settings.home)
    versions = {name: each.adaptive_card_version for name, each in endpoints.items()}
    begun = parse_since(since, datetime.now(UTC)) if since else None
    report = with_database(
        settings,
        lambda engine: replay_stored(
            engine, load_bot, since=begun, endpoint=endpoint, card_versions=versions, read=store.get
        ),
    )
    if as_json:
        print_json([asdict(dialog) for dialog in report.dialogs])
        return 0 if report.ok else 1
    wrong = [asdict(dialog) for dialog in report.dialogs if dialog.result != "ok"]
    if wrong:
        columns = ["dialog_id", "endpoint", "conversation", "bot", "status", "result", "position", "detail"]
        print_table(f"{len(wrong)} dialogs do not fit", columns, wrong)
    print(f"{len(report.dialogs)} dialogs replayed, {report.count('ok')} fit")  # noqa: T201
    return 0 if report.ok else 1
