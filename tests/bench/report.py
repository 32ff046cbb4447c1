"""The table, the stored result, and how one compares with the other."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from app.commands.common import print_table
from tests.bench.figures import TOO_NOISY, Figure
from tests.bench.stage import REPOSITORY

#: The last result; not committed, since it says something about this machine only.
STORED = REPOSITORY / "bench.json"


def machine() -> dict[str, Any]:
    """This machine in general terms."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def stored(path: Path = STORED) -> dict[str, Figure]:
    """The last result's figures by name; none if there is none that can be read."""
    try:
        figures = json.loads(path.read_text())["figures"]
        return {each["name"]: Figure(**each) for each in figures}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def store(
    figures: Sequence[Figure],
    cpu: Mapping[str, Mapping[str, float]],
    about: Mapping[str, Any],
    path: Path = STORED,
) -> None:
    """Keep a result. Figures that were not measured this time stay as they were, and so do those that were
    measured too noisily, where there is a better one."""
    now, kept = datetime.now(UTC).isoformat(timespec="seconds"), stored(path)
    for figure in figures:
        old = kept.get(figure.name)
        if old is None or figure.noise <= max(TOO_NOISY, old.noise):
            kept[figure.name] = replace(figure, at=now)
    result = {
        "at": now,
        "machine": dict(about),
        "figures": [figure.to_json() for figure in kept.values()],
        "cpu_percent_of_a_core": dict(cpu),
    }
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def show(
    figures: Sequence[Figure], before: Mapping[str, Figure], cpu: Mapping[str, Mapping[str, float]]
) -> None:
    """Print the figures, compared with those before, and who took the CPU."""
    rows = []
    for figure in figures:
        old = before.get(figure.name)
        rows.append(
            {
                "what": figure.name,
                "value": f"{figure.value:g} {figure.unit}".strip(),
                "± noise": f"{figure.noise:.0%}",
                "reach": _reach(figure),
                "last": "" if old is None else f"{old.value:g}",
                "": "" if old is None else figure.compared(old),
                "note": figure.note,
            }
        )
    print_table("Parley's benchmark", ["what", "value", "± noise", "reach", "last", "", "note"], rows)
    names = sorted({name for section in cpu.values() for name, share in section.items() if share >= 0.5})
    print_table(
        "\nCPU, per cent of one core (others: not Parley's, not the benchmark's)",
        ["during", *names],
        [
            {"during": section, **{n: f"{shares.get(n, 0):.0f}" for n in names}}
            for section, shares in cpu.items()
        ],
    )
    sys.stdout.write(
        "\nbetter, same, worse: than the last result, beyond the noise of both; what the machine's host took "
        "for others counts as noise.\n"
    )


def _reach(figure: Figure) -> str:
    if figure.reach is None:
        return ""
    sign = "≤" if figure.lower_is_better else "≥"
    return f"{sign} {figure.reach:g} {'✓' if figure.reached else '✗'}"
