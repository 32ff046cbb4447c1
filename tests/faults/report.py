"""The table of a run, for the terminal and, in the same words, for docs/reliability.md."""

from __future__ import annotations

from collections import defaultdict

from tests.faults.run import Result
from tests.faults.troubles import KILLS


def table(result: Result) -> list[str]:
    """Lines of Markdown."""
    verdict, plan = result.verdict, result.plan
    waits = sorted(verdict.waits)
    lines = [
        f"Seed {plan.seed}, {plan.seconds / 60:.1f} minutes of trouble, {plan.rate:g} messages a second.",
        "",
        "| what | number |",
        "| --- | ---: |",
        *(f"| {what} | {number} |" for what, number in verdict.counts.items()),
        f"| steps run, run again after a crash | {result.steps}, {result.steps_again} |",
        f"| conversations claimed by a worker | {result.claims} |",
        f"| first reply: median, slowest (s) | {_at(waits, 0.5):.2f}, {_at(waits, 1.0):.1f} |",
        f"| from the last trouble until all was done (s) | {result.drained:.0f} |",
        f"| **violations** | **{len(verdict.violations)}** |",
        "",
        "| trouble | times | it met | answers again after (s): median, worst |",
        "| --- | ---: | ---: | ---: |",
        *_troubles(result),
    ]
    if result.unmet:
        lines += ["", f"Met nothing: {', '.join(result.unmet)}."]
    if verdict.explained:
        lines += ["", "Arrived twice, which could not be excluded:", *(f"- {e}" for e in verdict.explained)]
    if verdict.again:
        lines += ["", "Handed over twice, which could not be excluded:", *(f"- {e}" for e in verdict.again)]
    if verdict.violations:
        lines += ["", "**Violations:**", *(f"- {violation}" for violation in verdict.violations)]
    return lines


def _troubles(result: Result) -> list[str]:
    hits: dict[str, list[int]] = defaultdict(list)
    for each in result.happened:
        hits[each.name].append(each.hits)
    rows = []
    for name in sorted(hits, key=lambda name: (name not in KILLS, name)):
        back = sorted(result.back.get(name, []))
        met = f"{sum(hits[name])} {'processes' if name in KILLS else 'requests'}"
        label = f"kill -9: {name}" if name in KILLS else name
        rows.append(f"| {label} | {len(hits[name])} | {met} | {_at(back, 0.5):.2f}, {_at(back, 1.0):.2f} |")
    return rows


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0
