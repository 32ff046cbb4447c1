"""`python -m tests.bench [--only PART …] [--keep-result]`: measures, prints a table, writes bench.json."""

from __future__ import annotations

import argparse
import sys

import uvloop

from app.logs import set_up_logging
from tests.bench import report, sections
from tests.bench.stage import everything, forget_environment, some
from tests.bench.traffic import Traffic

PARTS = {
    "steady": "latency at 50 and 100 messages a second",
    "sustained": "the highest rate that is sustained",
    "acks": "acknowledgements at 200 events a second",
    "first": "first reply of a new conversation",
    "memory": "the worker's memory with 300 sessions",
    "receiver": "events a second that one receiver acknowledges",
    "naive": "a flow run for each event",
}
UP = ("steady", "sustained", "acks", "first")


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Parley.")
    names = ", ".join(f"{name} ({what})" for name, what in PARTS.items())
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help=f"only these: {names}")
    parser.add_argument(
        "--first-rate", type=float, default=150.0, help="where the search for the rate begins"
    )
    parser.add_argument("--dry", action="store_true", help="leave bench.json as it is")
    parser.add_argument(
        "--ahead", action="store_true", help="let what is measured run before all else here (needs root)"
    )
    options = parser.parse_args()
    forget_environment()
    set_up_logging("WARNING")
    about = report.machine()
    if about["load_before"] > 0.3 * (about["cores"] or 1):
        say(f"Something else is at work here (load {about['load_before']}): expect noise.")
    results = sections.Results(say=say)
    try:
        uvloop.run(measure(options.only or list(PARTS), results, options.first_rate, ahead=options.ahead))
    finally:  # what was measured is shown, also when a later part fails
        report.show(results.figures, report.stored(), results.cpu)
    if not options.dry:
        report.store(results.figures, results.cpu, about)
    return 0


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def measure(wanted: list[str], results: sections.Results, first_rate: float, *, ahead: bool) -> None:
    """Each part on processes of its own kind."""
    if any(part in wanted for part in UP):
        async with everything(ahead=ahead) as stage, Traffic(stage) as traffic:
            results.say("everything is up")
            await sections.warm_up(traffic)
            if "steady" in wanted:
                await sections.steady(traffic, results, 50, reach_p50=10, reach_p99=25)
                await sections.steady(traffic, results, 100, reach_p50=30, reach_p99=None)
            if "acks" in wanted:
                await sections.acks(traffic, results)
            if "first" in wanted:
                await sections.first_replies(traffic, results)
            if "sustained" in wanted:
                await sections.ceiling(traffic, results, first=first_rate)
    if "memory" in wanted:
        async with everything(sections.STAY_OPEN, ahead=ahead) as stage, Traffic(stage) as traffic:
            await sections.memory(stage, traffic, results)
    if "receiver" in wanted:
        async with some(naive=False, ahead=ahead) as stage, Traffic(stage) as traffic:
            await sections.receiver_alone(stage, traffic, results)
    if "naive" in wanted:
        async with some(naive=True, ahead=ahead) as stage, Traffic(stage) as traffic:
            await sections.naive(traffic, results)


if __name__ == "__main__":
    sys.exit(main())
