"""What the linter finds in bots, and what it leaves alone."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from app.conversation.lint import Finding, lint_bot, lint_source

HEAD = """\
from app.bot import Chat, call
import asyncio, contextlib, functools, json, logging, os, pathlib, random, re, secrets
import subprocess, threading, time, uuid, datetime as dates
import httpx
from datetime import datetime
from pathlib import Path
from time import sleep as pause
log = logging.getLogger("bot")
TABLE = {}
NAMES = ["a"]
"""


def lint(body: str, more: str = "") -> list[Finding]:
    source = HEAD + textwrap.dedent(more) + "async def bot(chat: Chat) -> None:\n"
    return lint_source(source + textwrap.indent(textwrap.dedent(body), "    "), "bot")


def rules(body: str, more: str = "") -> list[str]:
    return [finding.rule for finding in lint(body, more)]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("await asyncio.sleep(1)", "await"),
        ("await fetch()", "await"),
        ("task = chat.message\nawait task", "await"),
        ("async with httpx.AsyncClient() as client:\n    pass", "await"),
        ("async for line in client.lines():\n    pass", "await"),
        ("async with asyncio.timeout(3):\n    await chat.receive()", "await"),
        ("await asyncio.gather(chat.message)", "await"),
        ("now = datetime.now()", "clock"),
        ("now = dates.datetime.utcnow()", "clock"),
        ("today = dates.date.today()", "clock"),
        ("now = time.time()", "clock"),
        ("n = random.randint(1, 6)", "random"),
        ("n = uuid.uuid4()", "random"),
        ("n = secrets.token_hex()", "random"),
        ("n = random.Random()", "random"),
        ("n = hash(chat.message.text)", "random"),
        ("time.sleep(1)", "sleep"),
        ("pause(1)", "sleep"),
        ("text = open('x').read()", "io"),
        ("text = Path('x').read_text()", "io"),
        ("path = Path('x')\ntext = path.read_text()", "io"),
        ("found = Path('x').exists()", "io"),
        ("found = os.path.exists('x')", "io"),
        ("page = httpx.get('https://example.com')", "io"),
        ("subprocess.run(['x'])", "io"),
        ("line = input()", "io"),
        ("key = os.environ['KEY']", "environment"),
        ("key = os.getenv('KEY')", "environment"),
        ("asyncio.create_task(work())", "concurrency"),
        ("threading.Thread(target=print).start()", "concurrency"),
        ("global TABLE\nTABLE = {}", "global-state"),
        ("TABLE['a'] = 1", "global-state"),
        ("TABLE['a'] += 1", "global-state"),
        ("del TABLE['a']", "global-state"),
        ("NAMES.append('b')", "global-state"),
        ("try:\n    await chat.receive()\nfinally:\n    await chat.say('bye')", "chat-in-finally"),
        (
            "try:\n    await chat.receive()\nexcept BaseException:\n    await chat.say('x')\n    raise",
            "chat-in-finally",
        ),
        ("try:\n    await chat.receive()\nexcept:\n    pass", "catch-all"),
        ("try:\n    await chat.receive()\nexcept (ValueError, BaseException):\n    pass", "catch-all"),
        ("with contextlib.suppress(BaseException):\n    await chat.receive()", "catch-all"),
        ("chat.say('hello')", "not-awaited"),
        ("answer = chat.ask('how?')", "not-awaited"),
        ("print('hello')", "log"),
        ("log.info('hello')", "log"),
        ("for name in {'a', 'b'}:\n    await chat.say(name)", "unordered"),
        ("names = [name for name in set(NAMES)]", "unordered"),
        ("yield 1", "not-async"),
    ],
)
def test_what_a_replay_would_stumble_over_is_found(body: str, rule: str) -> None:
    assert rule in rules(body)


@pytest.mark.parametrize(
    "body",
    [
        "await chat.say('hello')\nif (await chat.receive(timeout=3)).text == 'x':\n    return",
        "now = chat.now()\nn = chat.random.randint(1, 6)\nn = random.Random(3).random()",
        "await chat.step(httpx.get, 'https://example.com')",
        "await chat.step(lambda: open('x').read())",
        "await chat.step(fetch, 'x')\nawait chat.steps(functools.partial(fetch, 1), call(fetch, 2), fetch)",
        "def work() -> str:\n    return open('x').read()\nawait chat.step(work)",
        "calls = [functools.partial(fetch, n) for n in (1, 2)]\nawait chat.steps(*calls)",
        "try:\n    await chat.receive()\nexcept Exception:\n    await chat.say('sorry')",
        "try:\n    await chat.receive()\nexcept BaseException:\n    raise",
        "try:\n    n = int('3')\nfinally:\n    n = 4",
        "try:\n    n = int('3')\nexcept:\n    n = 4",
        "table = {}\ntable['a'] = 1\nTABLE = {}\nTABLE['a'] = 1",
        "name = TABLE.get('a', NAMES[0])",
        "for name in sorted({'a', 'b'}):\n    await chat.say(name)",
        "path = os.path.join('a', 'b')\nm = re.match('a', 'b')",
        "d = json.loads('{}')\nd = datetime(2026, 1, 1)",
        "time = 3\nid = 4\nchat.session['time'] = time",
        "await later(chat)\nawait hand(chat)",
    ],
)
def test_good_bots_are_left_alone(body: str) -> None:
    helpers = """
    async def fetch(n):
        return httpx.get(str(n))
    async def later(someone):
        await someone.say("later")
    def hand(chat):
        return chat.say("by hand")
    """
    assert lint(body, helpers) == []


def test_helper_functions_are_followed_wherever_they_are_used() -> None:
    helpers = """
    async def greet(talk, name):
        await talk.say(text(name))
        talk.say("lost")
    def text(name):
        return f"{name} at {datetime.now()}"
    def parse(text):
        return random.choice(text)
    def key(value):
        return time.time()
    def unused():
        return open("x")
    """
    body = "await greet(chat, 'a')\nawait chat.ask('n?', parse=parse)\nsorted([1], key=key)"
    assert sorted(rules(body, helpers)) == ["clock", "clock", "not-awaited", "random"]


def test_functions_inside_the_bot_are_followed_when_called() -> None:
    body = "async def inner():\n    await chat.say(str(time.time()))\n    chat.say('x')\nawait inner()"
    assert sorted(rules(body)) == ["clock", "not-awaited"]
    assert rules("def inner():\n    return time.time()") == []


def test_a_helper_that_is_not_awaited_is_found() -> None:
    assert rules("helper(chat)", "async def helper(chat):\n    await chat.say('x')\n") == ["not-awaited"]


def test_a_finding_says_where_and_what_to_do() -> None:
    [finding] = lint("await chat.say('x')\ntime.sleep(3)")
    assert finding.severity == "error"
    assert str(finding).startswith(f"bot.py:{HEAD.count(chr(10)) + 3}: error: time.sleep")
    assert "chat.receive(timeout=" in finding.message
    assert lint("print('x')")[0].severity == "warning"


def test_a_bot_that_is_no_async_function_is_found() -> None:
    assert [each.rule for each in lint_source("def bot(chat):\n    return 1\n", "bot")] == ["not-async"]


def test_the_example_bots_are_clean() -> None:
    assert lint_bot("flows.bots.echo:echo") == []
    assert lint_bot("flows.bots.orders:orders") == []


def test_a_bot_is_followed_to_the_module_that_defines_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lint_followed"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import bot as bot\n")
    (package / "inner.py").write_text("import time\nasync def bot(c):\n    c.say(time.time())\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    findings = lint_bot("lint_followed:bot")
    assert [(each.line, each.rule) for each in findings] == [(3, "clock"), (3, "not-awaited")]
    assert findings[0].file.endswith("inner.py")


HELPERS = {
    "lint_bots/__init__.py": "",
    "lint_bots/bot.py": """\
import time
from app.bot import Chat
from lint_bots import helpers
from lint_bots.helpers import greet, lookup
from . import deeper
import lint_beside

@helpers.timed
async def bot(chat: Chat) -> None:
    await greet(chat)
    await helpers.greet(chat)
    await deeper.inner.ask(chat)
    lint_beside.stamp()
    await chat.step(lookup, 3)
    await chat.step(helpers.lookup)
    await chat.step(time.time)
""",
    "lint_bots/helpers.py": """\
import asyncio, random, time

async def greet(talk):
    await asyncio.sleep(1)
    talk.say(str(random.random()))

def lookup(n=0):
    return open(str(n)).read()

def timed(function):
    async def inner(chat):
        print(time.time())
        return await function(chat)
    return inner
""",
    "lint_bots/deeper/__init__.py": "from lint_bots.deeper import inner as inner\n",
    "lint_bots/deeper/inner.py": "import time\nasync def ask(c):\n    await c.ask(str(time.time()))\n",
    "lint_bots/lint_beside.py": "",
    "lint_beside.py": "import time\ndef stamp():\n    return time.time()\n",
}


def test_the_bots_other_modules_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in HELPERS.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [(Path(each.file).name, each.line, each.rule) for each in lint_bot("lint_bots.bot:bot")]
    assert set(found) == {
        ("helpers.py", 4, "await"),
        ("helpers.py", 5, "not-awaited"),
        ("helpers.py", 5, "random"),
        ("helpers.py", 12, "clock"),
        ("helpers.py", 12, "log"),
        ("inner.py", 3, "clock"),
    }  # lint_beside lies above the package: it is somebody else's


def test_a_module_beside_a_bot_without_a_package_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lint_plain.py").write_text(
        "import lint_near\nasync def bot(chat):\n    await chat.say(lint_near.stamp())\n"
    )
    (tmp_path / "lint_near.py").write_text("import time\ndef stamp():\n    return str(time.time())\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    [finding] = lint_bot("lint_plain:bot")
    assert (Path(finding.file).name, finding.line, finding.rule) == ("lint_near.py", 3, "clock")


def test_what_gets_the_chat_and_can_not_be_looked_into_is_named() -> None:
    [finding] = lint("await Greeter().greet(chat)", "class Greeter: ...\n")
    assert (finding.rule, finding.severity) == ("not-followed", "warning")
    assert "`Greeter().greet` gets the chat and is not looked into" in finding.message


def test_a_function_that_is_given_on_is_found_as_well_as_one_that_is_called() -> None:
    assert rules("f = time.time\nawait chat.say(str(f()))") == ["clock"]
    assert rules("await chat.ask('n?', parse=random.choice)") == ["random"]
    assert rules("wait = pause\nwait(3)") == ["sleep"]


def test_each_of_several_mistakes_in_a_line_is_told() -> None:
    found = lint("n = id(chat); m = hash('x')")
    assert [each.message.partition(":")[0] for each in found] == ["hash", "id"]


@pytest.mark.parametrize(
    ("source", "path", "part"),
    [
        ("x = 1\n", "lint_broken:bot", "defines no function"),
        ("async def bot(:\n", "lint_broken:bot", "does not parse"),
        ("", "lint_missing:bot", "no Python module"),
        ("", "lint_missing.deeper:bot", "no module"),
    ],
)
def test_a_bot_that_can_not_be_read_is_a_finding(
    source: str, path: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lint_broken.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    [finding] = lint_bot(path)
    assert finding.rule == "import"
    assert part in finding.message


def test_a_method_that_chat_does_not_have_is_told_as_that() -> None:
    [finding] = lint('await chat.reply("Hello")')
    assert finding.rule == "no-such-method"
    assert finding.message.startswith("Chat has no `reply`; what can be awaited of it: ask, ")
    assert " say," in finding.message
    assert rules('name = chat.ask_name("Who?")') == ["no-such-method"]
    assert rules('await chat.say("Hello", to="user")') == []
