"""`python -m tests.faults [--seed N] [--minutes M] [--only TROUBLE …]`: kills, faults and a table."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

from app.logs import set_up_logging
from tests.bench.stage import forget_environment
from tests.faults.report import table
from tests.faults.run import Plan, run
from tests.faults.troubles import FAULTS, KILLS


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Make a run; 1 when a promise was broken, or when a fault met nothing, so that the run says less."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Break everything, and see whether anything was lost."
    )
    parser.add_argument("--seed", type=int, help="decides the order of troubles; printed, else made up")
    parser.add_argument("--minutes", type=float, default=5.0, help="of trouble (5)")
    parser.add_argument("--rate", type=float, default=6.0, help="messages of users a second (6)")
    names = ", ".join([*KILLS, *FAULTS])
    parser.add_argument("--only", nargs="+", choices=[*KILLS, *FAULTS], metavar="TROUBLE", help=names)
    parser.add_argument("--keep", type=Path, help="a folder that Parley's log is copied to")
    options = parser.parse_args()
    forget_environment()
    set_up_logging("WARNING")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    plan = Plan(seed, options.minutes * 60, rate=options.rate, only=tuple(options.only or ()))
    result = asyncio.run(run(plan, say=say, keep=options.keep))
    sys.stdout.write("\n".join(["", *table(result), ""]))
    return 1 if result.verdict.violations or result.unmet else 0


if __name__ == "__main__":
    sys.exit(main())
