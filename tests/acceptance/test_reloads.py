"""endpoints.yaml changed while everything runs: each part follows, and a broken file changes nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import httpx
import pytest

from tests.acceptance.running import NO_PREFECT, Parley, eventually
from tests.acceptance.stage import Stage, write_endpoints

pytestmark = pytest.mark.timeout(240)

PARTS = {"receiver", "worker", "sandbox"}


def test_receiver_worker_and_sandbox_follow_by_signal_and_by_command(
    own_parley: Callable[..., Parley],
) -> None:
    parley = own_parley(**NO_PREFECT)
    parley.variables["PARLEY_TEST_SIGNALS"] = str(parley.folder)
    file = write_endpoints(parley.folder, parley.variables["PARLEY_SANDBOX_PORT"])
    parley.variables["PARLEY_ENDPOINTS"] = str(file)
    whole = json.loads(file.read_text())
    kept = [each for each in whole["endpoints"] if each["name"] != "echo"]
    file.write_text(json.dumps({**whole, "endpoints": kept}))
    parley.start()
    parley.wait_until_ready()

    def said(event: str) -> int:
        return parley.errors.count(f'"event": "{event}"')

    def known() -> bool:
        receiver = f"http://127.0.0.1:{parley.variables['PARLEY_PORT']}"
        return httpx.post(f"{receiver}/8x8/sandbox-echo-token", content=b"{}").status_code != 404

    assert not known()
    assert parley.process is not None
    file.write_text("endpoints: 7")
    parley.process.send_signal(signal.SIGHUP)
    eventually(lambda: said("reload_refused") == 3, within=20, what="three refusals")
    refused = parley.run("reload")
    assert refused.returncode == 1
    assert all(f"{part} " in refused.stderr for part in PARTS)
    assert refused.stderr.count("nothing changed: ") == 3 and "endpoints" in refused.stderr
    assert not known() and said("reloaded") == 0

    file.write_text(json.dumps(whole))
    done = parley.run("reload")
    assert (done.returncode, done.stdout.count(": reloaded")) == (0, 3), done.stderr
    assert {line.split(" ")[0] for line in done.stdout.splitlines()} == PARTS
    assert known()
    stage = Stage(parley)
    try:
        talk = stage.talk("echo")  # a tenant of the sandbox, an endpoint of receiver and worker
        talk.say("hello")
        talk.texts(1)
    finally:
        stage.close()
    parley.process.send_signal(signal.SIGHUP)
    eventually(lambda: said("reloaded") == 6, within=20, what="by signal too")
