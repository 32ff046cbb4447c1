"""Which tests run in one process: those of a file, and those that share a `parley up`."""

from __future__ import annotations

#: Groups of acceptance tests that share a `parley up` with Prefect, and their files. The others need none.
FILES = {
    "prefect": (
        "test_analytics_prefect",
        "test_human_agents",
        "test_prefect_runs",
        "test_request_ids",
        "test_up",
    ),
    # Those that kill and stop its parts.
    "harsh": ("test_kills", "test_poison", "test_workers", "test_zombies"),
}

#: The group of all others, and those of them that have a `parley up` of their own.
PLAIN = "plain"
ALONE = ("test_files", "test_reloads", "test_secrets", "test_secrets_handed_on")


def group_of(nodeid: str) -> str:
    """The group of a test by its id: a name of these, or its file."""
    file = nodeid.split("::", 1)[0]
    folder, _, name = file.removesuffix(".py").rpartition("/")
    if not folder.endswith("acceptance") or name in ALONE:
        return file
    return next((group for group, files in FILES.items() if name in files), PLAIN)


def shares(nodeid: str) -> str | None:
    """Which `parley up` a test may share: "with Prefect", "without Prefect", or None."""
    group = group_of(nodeid)
    if group in FILES:
        return "with Prefect"
    return "without Prefect" if group == PLAIN else None
