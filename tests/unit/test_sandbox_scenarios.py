"""Scenario files: what they may hold, how they are played, how a failure reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from app.commands import sandbox_play
from app.errors import ConfigurationError
from app.sandbox import calls
from app.sandbox.scenario import report
from app.sandbox.scenario.player import Played, play
from app.sandbox.scenario.reading import ScenarioError, read
from tests.sandbox_bench import TENANT, Bench, Hook, bench_running

Say = Callable[..., None]
QUICK = "application/8x8.quick.replies"
ADAPTIVE = "application/vnd.microsoft.card.adaptive"


@pytest.fixture(scope="module")
def shared_bench() -> Iterator[Bench]:
    with bench_running() as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.fresh()
    return shared_bench


def bot(bench: Bench, act: Callable[[dict[str, Any], Say], None]) -> None:
    """Let `act(event, say)` answer each event of a user."""

    def answer(hook: Hook) -> int:
        event = hook.event
        where = f"/chat-gateway/v1/conversations/{event['conversationId']}"
        data = event.get("data") or {}
        from_user = hook.kind == "ACTIVITY" or (data.get("sender") or {}).get("type") == "user"
        if from_user and data.get("name") != "typing":

            def say(text: str = "", **more: Any) -> None:
                if "assignment" in more:
                    bench.http.patch(where, json=more).raise_for_status()
                else:
                    sent = (
                        {"attachments": uploaded(bench, where, more.pop("files"))} if "files" in more else {}
                    )
                    body = {"authorType": "bot", "text": text, **sent, **more}
                    bench.http.post(f"{where}/messages", json=body).raise_for_status()

            threading.Thread(target=act, args=(data, say), daemon=True).start()
        return 200

    bench.sink.answer = answer


def uploaded(bench: Bench, where: str, names: list[str]) -> list[dict[str, str]]:
    """Files of that name, as a message refers to them."""
    url, form = f"{where}/attachments", {"authorType": "bot"}
    answers = [bench.http.post(url, data=form, files={"attachment": (name, b"x")}) for name in names]
    return [{"id": answer.raise_for_status().json()["id"]} for answer in answers]


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def played(bench: Bench, folder: Path, text: str) -> Played:
    return play(bench.control, read(written(folder, text)), TENANT)


def replies(*titles: str) -> dict[str, Any]:
    options = [{"title": title, "data": {"postback": title.lower()}} for title in titles]
    return {"contentType": QUICK, "content": {"options": options}}


def everything(data: dict[str, Any], say: Say) -> None:
    """A bot that has an answer for each kind of step."""
    value = data.get("value") or {}
    if data.get("name") == "quickReply/action":
        say(f"chosen {value['data']['payload']}")
    elif data.get("name") == "adaptiveCard/action":
        say(f"submitted {value['data']['rating']}")
    elif data.get("name") == "interactive/reply":
        say("interacted")
    elif data.get("attachments"):
        say(f"got {data['attachments'][0]['fileName']}")
    elif data.get("text") == "file":
        say("Here you are", files=["bill.pdf", "menu.pdf"])
    elif data.get("text") == "card":
        body = [{"type": "TextBlock", "text": "Rate us"}]
        card = {"type": "AdaptiveCard", "version": "1.3", "body": body}
        say(cards=[{"contentType": ADAPTIVE, "content": card}])
    elif data.get("text") == "person":
        properties = [{"key": "order", "value": "A-1001"}]
        say(assignment={"type": "queue", "id": "101"}, user={"additionalProperties": properties})
    elif data.get("text") != "hush":
        say("Hello Ada", cards=[replies("Yes", "No")])


ALL_STEPS = """
name: All kinds of steps
channel: WebChat
user: {name: Ada}
steps:
  - user: Hello
  - bot: {text: Hello Ada, quick_replies: ["Yes", "No"]}
  - click: "Yes"
  - bot: chosen yes
  - click: {title: Perhaps, payload: maybe}
  - bot: {matches: "^chosen (maybe|perhaps)$"}
  - user: card
  - bot: {card: {body: [{text: Rate us}]}}
  - submit: {rating: 5}
  - bot: submitted 5
  - file: {name: a.txt, content: hello}
  - bot: {contains: [got, a.txt]}
  - activity: {name: interactive/reply, value: {type: button_reply}}
  - bot: interacted
  - user: file
  - bot: {text: Here you are, files: [bill.pdf, menu.pdf]}
  - user: hush
  - nothing: 0.2
  - user: person
  - handover: {queue: "101", properties: {order: A-1001}}
  - agent_joins: agent-7
  - agent: Good day
  - agent_transfers: {queue: "102", order: transfer_first}
  - handover: {queue: "102"}
  - agent_joins: agent-8
  - wait: 0.05
  - agent_leaves: true
  - user_leaves: true
"""


def test_every_kind_of_step_can_be_played(bench: Bench, tmp_path: Path) -> None:
    bot(bench, everything)
    done = played(bench, tmp_path, ALL_STEPS)
    assert done.failure is None, report.lines(done)
    conversation = bench.control(calls.conversation(done.conversation))
    assert (conversation.is_test, conversation.state) == (True, "idle")
    bench.settle()
    first = bench.sink.events("CONVERSATION_UPDATE")[0]
    assert {"key": "isTest", "value": "true"} in first["data"]["user"]["additionalProperties"]


@pytest.mark.parametrize(
    ("steps", "step", "mistake"),
    [
        ("[{user: Hi}, {bot: Hello Bob}]", 2, "- Hello Bob"),
        ("[{user: Hi}, {bot: {contains: order}}]", 2, "does not contain: order"),
        ("[{user: Hi}, {bot: {matches: '^Bye'}}]", 2, "does not match: ^Bye"),
        ("[{user: Hi}, {bot: {quick_replies: ['Yes']}}]", 2, "quick replies:"),
        ("[{user: file}, {bot: {files: [bill.pdf]}}]", 2, "files:"),
        ("[{user: Hi}, {bot: {files: [bill.pdf]}}]", 2, "files:"),
        ("[{user: Hi}, {bot: {card: {version: '1.3'}}}]", 2, "has no adaptive card"),
        ("[{user: card}, {bot: {card: {body: [{text: Other}]}}}]", 2, "card:"),
        ("[{user: hush}, {bot: {within: 0.2}}]", 2, "the bot said nothing within 0.2 s"),
        ("[{user: Hi}, {nothing: 5}]", 2, "the bot said: Hello Ada"),
        (
            "[{user: Hi}, {bot: {}}, {click: Maybe}]",
            3,
            "'Maybe' is offered; those that are: Yes, No",
        ),
        ("[{handover: {within: 0.1}}]", 1, "the conversation waits in no queue"),
        ("[{user: person}, {handover: {queue: '102', within: 0.3}}]", 2, "queue:"),
        ("[{user: person}, {handover: {properties: {order: A-2}, within: 0.3}}]", 2, "property order:"),
        (
            "[{user: person}, {handover: {properties: {mood: bad}, within: 0.3}}]",
            2,
            "mood is missing",
        ),
        ("[{agent: Hello}]", 1, "the sandbox refused: no agent has the conversation"),
        ("[{file: {name: a, path: none.txt}}]", 1, "can't read"),
    ],
)
def test_what_is_not_as_expected_fails_the_step_and_says_how(
    bench: Bench, tmp_path: Path, steps: str, step: int, mistake: str
) -> None:
    bot(bench, everything)
    done = played(bench, tmp_path, f"patience: 10\nuser: {{name: Ada}}\nsteps: {steps}")
    assert done.failure is not None
    assert done.failure.step == step
    assert any(mistake in line for line in done.failure.mistakes), done.failure.mistakes


def test_a_failure_reads_as_a_diff_with_file_line_and_what_was_said(bench: Bench, tmp_path: Path) -> None:
    bot(bench, everything)
    text = "name: Greeting\nsteps:\n  - user: Hi\n  # a comment\n  - bot: Hello Bob\n"
    lines = report.lines(played(bench, tmp_path, text))
    assert lines[:2] == ["FAILED  Greeting", f"  {tmp_path / 'scenario.yaml'}:5: step 2: bot: Hello Bob"]
    assert "    - Hello Bob" in lines and "    + Hello Ada" in lines
    assert lines[lines.index("  what was said:") + 1 :][:2] == ["    user: Hi", "    bot: Hello Ada"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("steps: [", "not YAML"),
        ("[1]", "a scenario is an object with steps"),
        ("steps: []", "steps: List should have at least 1 item"),
        ("steps:\n  - usr: Hi", "scenario.yaml:2: a step has exactly one of the keys user, click"),
        ("steps:\n  - user: Hi\n  - {user: Hi, bot: Ho}", "scenario.yaml:3: a step has exactly one of"),
        ("steps:\n  - bot: {contans: x}", "scenario.yaml:2: bot.contans: Extra inputs"),
        (
            "steps:\n  - bot: {matches: '('}",
            "yaml:2: bot.matches: Value error, not a regular expression",
        ),
        ("steps:\n  - file: {name: a}", "a file needs either content or path"),
        ("channel: Fax\nsteps: [{user: Hi}]", "channel: Input should be"),
    ],
)
def test_mistakes_in_a_file_are_named_with_their_lines(tmp_path: Path, text: str, mistake: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(written(tmp_path, text))
    assert mistake in str(error.value)


def test_the_examples_are_good_files() -> None:
    folder = Path(__file__).parents[2] / "flows/bots/scenarios"
    files = sorted(folder.glob("*.yaml"))
    assert len(files) >= 3
    for path in files:
        file = read(path)
        assert file.scenario.name and file.scenario.endpoint
        assert len(file.lines) == len(file.scenario.steps)


def test_the_command_reports_passes_and_failures_by_its_exit_code_and_as_junit(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot(bench, everything)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("name: Good\nsteps: [{user: Hi}, {bot: Hello Ada}]")
    bad.write_text("name: Bad <&>\nsteps: [{user: Hi}, {bot: Bye}]")
    junit = tmp_path / "junit.xml"

    def run(*files: Path, endpoint: str | None = None) -> int:
        return sandbox_play.run(files, endpoint=endpoint, url=bench.url, junit=junit, wait=0)

    assert run(good, endpoint=TENANT) == 0
    assert "passed  Good" in capsys.readouterr().out
    assert run(good, bad) == 1
    assert "1 passed, 1 failed" in capsys.readouterr().out
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None and "+ Hello Ada" in (failure.text or "")
    with pytest.raises(ConfigurationError, match="no endpoint nobody"):
        run(good, endpoint="nobody")
    with pytest.raises(ConfigurationError, match="no sandbox answers"):
        sandbox_play.run([good], endpoint=None, url="http://127.0.0.1:1", junit=None, wait=0)
