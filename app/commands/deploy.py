"""`parley deploy`: what Prefect runs by itself, told to Prefect."""

from __future__ import annotations

import os
import signal
import subprocess

from app.commands.common import read_settings
from app.errors import ConfigurationError
from app.prefect_environment import prefect_environment
from app.processes import before_exec
from app.supervisor.parts import REPOSITORY, program


def run() -> int:
    """Deploy the flows of prefect.yaml and install the automations. Returns the exit code."""
    settings = read_settings()
    if not (REPOSITORY / "prefect.yaml").exists():
        raise ConfigurationError("there is no prefect.yaml: this is no checkout of Parley's repository")
    os.environ.update(prefect_environment(settings))
    command = [program("prefect"), "--no-prompt", "deploy", "--all"]
    deployed = subprocess.run(  # noqa: S603
        command, cwd=REPOSITORY, check=False, preexec_fn=before_exec(end=signal.SIGTERM)
    )
    if deployed.returncode:
        return deployed.returncode

    import asyncio

    from flows.automations import install

    for name in asyncio.run(install()):
        print(f"Automation installed: {name}")  # noqa: T201
    return 0
