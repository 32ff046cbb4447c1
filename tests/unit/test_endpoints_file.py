"""endpoints.yaml: what it may say, and how its mistakes are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.endpoints_file import load_endpoints, read_endpoints
from app.errors import ConfigurationError

GOOD = """
endpoints:
  - name: support
    token: ${SUPPORT_TOKEN}
    flow: flows.bots.orders:orders
    eightxeight: {base_url: https://api.8x8.com, api_key: ${EIGHTXEIGHT_KEY}, tenant: acme01}
"""
ENVIRONMENT = {"SUPPORT_TOKEN": "a-token-of-24-characters", "EIGHTXEIGHT_KEY": "eght_0123456789"}

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "endpoints.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistakes(path: Path, **environ: str) -> list[str]:
    """What is wrong with the file, as lines."""
    return [str(mistake) for mistake in read_endpoints(path, {**ENVIRONMENT, **environ})[1]]


def test_variables_are_read_from_the_environment_also_inside_braces(write: Write) -> None:
    (endpoint,) = load_endpoints(write(GOOD), ENVIRONMENT).endpoints
    assert endpoint.tokens == [ENVIRONMENT["SUPPORT_TOKEN"]]
    assert endpoint.eightxeight.api_key.get_secret_value() == ENVIRONMENT["EIGHTXEIGHT_KEY"]
    assert endpoint.eightxeight.tenant == "acme01"


def test_every_mistake_is_reported_at_once_with_its_line_and_place(write: Write) -> None:
    path = write(
        """
endpoints:
  - name: Not A Name
    token: ${MISSING}          # ${NOT_ASKED_FOR}
    flow: nowhere
    enabld: true
    eightxeight: {base_url: 'ftp://x', api_key: short, tenat: acme01}
  - name: other
    token: [tooshort]
    eightxeight: {}
"""
    )
    with pytest.raises(ConfigurationError) as error:
        load_endpoints(path, {})
    for line in (
        "line 3: endpoints[0].name: must be",
        "line 4: endpoints[0].token: the environment variable MISSING is not set",
        "line 5: endpoints[0].flow: must be module:function",
        "line 6: endpoints[0].enabld: unknown key, did you mean 'enabled'?",
        "line 7: endpoints[0].eightxeight.base_url: must begin with https://",
        "line 7: endpoints[0].eightxeight.api_key: must have at least 8 characters",
        "line 7: endpoints[0].eightxeight.tenat: unknown key, did you mean 'tenant'?",
        "endpoints[1].flow: is missing",
        "line 9: endpoints[1].token: must be 16 to 256",
        "endpoints[1].eightxeight.api_key: is missing",
    ):
        assert line in str(error.value)
    assert "NOT_ASKED_FOR" not in str(error.value)
    assert str(path) in str(error.value)


def test_no_message_repeats_a_value_of_the_file(write: Write) -> None:
    path = write(GOOD.replace("acme01", "' '").replace("flows.bots.orders:orders", "s3cret-flow"))
    said = "\n".join(mistakes(path, SUPPORT_TOKEN="s3cret", EIGHTXEIGHT_KEY="s3cret "))
    assert "token" in said and "api_key" in said and "flow" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_a_default_stands_in_for_a_variable_that_is_unset_or_empty(
    write: Write, environ: dict[str, str]
) -> None:
    path = write(GOOD.replace("support", "${NAME:-fallback}"))
    assert load_endpoints(path, {**ENVIRONMENT, **environ}).endpoints[0].name == "fallback"


def test_two_dollars_make_a_literal_reference(write: Write) -> None:
    path = write(GOOD + '    on_error: {message: "costs $${PRICE}"}\n')
    assert load_endpoints(path, ENVIRONMENT).endpoints[0].on_error.message == "costs ${PRICE}"


def test_a_variables_value_cannot_change_the_file(write: Write) -> None:
    path = write(GOOD + "    on_error: {message: ${MESSAGE}}\n")
    sneaky = "x}\n    enabled: false  # ${SUPPORT_TOKEN}"
    endpoint = load_endpoints(path, {**ENVIRONMENT, "MESSAGE": sneaky}).endpoints[0]
    assert endpoint.on_error.message == sneaky
    assert endpoint.enabled is True


@pytest.mark.parametrize("value", ["", "short"])
def test_an_empty_or_short_token_or_key_is_refused(write: Write, value: str) -> None:
    assert any("token" in line for line in mistakes(write(GOOD), SUPPORT_TOKEN=value))
    assert any("api_key" in line for line in mistakes(write(GOOD), EIGHTXEIGHT_KEY=value))


def test_names_and_tokens_belong_to_one_endpoint_each(write: Write) -> None:
    again = GOOD.replace("endpoints:\n", "").lstrip("\n")
    found = mistakes(write(GOOD + again))
    assert found == [
        "line 7: endpoints[1].name: is the name of endpoints[0] too",
        "line 8: endpoints[1].token: has a token of endpoints[0] too",
    ]


def test_a_rotated_token_is_a_list(write: Write) -> None:
    path = write(GOOD.replace("${SUPPORT_TOKEN}", "[${SUPPORT_TOKEN}, another-token-of-24-chars]"))
    assert load_endpoints(path, ENVIRONMENT).endpoints[0].tokens[1] == "another-token-of-24-chars"
    twice = GOOD.replace("${SUPPORT_TOKEN}", "[${SUPPORT_TOKEN}, ${SUPPORT_TOKEN}]")
    assert mistakes(write(twice)) == ["line 4: endpoints[0].token: has the same token twice"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("api.8x8.com", "must begin with https://"),
        ("https://me:pw@api.8x8.com", "must not hold a user or password"),
        ("https://api.8x8.com?x=1", "must not hold a query or fragment"),
        ("https://api.8x8.com:port", "is not a URL"),
    ],
)
def test_the_gateways_address_is_checked(write: Write, url: str, message: str) -> None:
    (found,) = mistakes(write(GOOD.replace("https://api.8x8.com", f'"{url}"')))
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("endpoints: [", "line 1: not YAML"),
        ("- 1", "must be a mapping"),
        ("endpoints: []", "at least 1 item"),
        ("endpoints: [7]", "endpoints[0]: must be a mapping"),
        ("a: &a [*a]", "not YAML"),
        (GOOD + "    name: again\n", "line 7: endpoints[0].name: is there twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(write: Write, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_endpoints(write(text), ENVIRONMENT)
    assert message in str(error.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_endpoints(tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(
    ("code", "flow", "message"),
    [
        (None, "no_such_module:bot", "there is no module 'no_such_module'"),
        ("", "{module}:bot", "has no 'bot'"),
        ("import no_such_library", "{module}:bot", "needs a module 'no_such_library'"),
        ("def bot(chat): ...", "{module}:bot", "must be an `async def`"),
        ("async def bot(): ...", "{module}:bot", "must take one argument"),
        ("async def bot(chat): yield 1", "{module}:bot", "yields"),
        ("raise ValueError('s3cret')", "{module}:bot", "ValueError in"),
        ("def", "{module}:bot", "SyntaxError"),
        ("async def bot(chat, retries=3): ...", "{module}:bot", None),
    ],
)
def test_bots_are_imported_and_looked_at(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    code: str | None,
    flow: str,
    message: str | None,
) -> None:
    module = f"bot_{abs(hash(request.node.name))}"
    if code is not None:
        (tmp_path / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    path = write(GOOD.replace("flows.bots.orders:orders", flow.format(module=module)))

    found = [str(mistake) for mistake in read_endpoints(path, ENVIRONMENT, bots=True)[1]]

    if message is None:
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]
        assert "s3cret" not in found[0]


def test_the_repositorys_own_file_needs_no_environment() -> None:
    path = Path(__file__).parents[2] / "endpoints.yaml"
    endpoints = load_endpoints(path, {"PARLEY_SANDBOX_PORT": "9000"}).endpoints
    assert [endpoint.flow for endpoint in endpoints] == ["flows.bots.echo:echo", "flows.bots.orders:orders"]
    assert {endpoint.eightxeight.base_url for endpoint in endpoints} == {"http://127.0.0.1:9000"}


def test_a_bot_that_is_none_is_told_with_its_line(write: Write) -> None:
    path = write(GOOD.replace("flows.bots.orders:orders", "flows.bots.orders:ordres"))
    _, [found] = read_endpoints(path, ENVIRONMENT, bots=True)
    line = path.read_text().splitlines()[found.line - 1]
    assert "flows.bots.orders:ordres" in line
    assert str(found).startswith(f"line {found.line}: endpoints[")


def test_bots_that_are_none_are_told_in_one_go_with_every_other_mistake(write: Write) -> None:
    path = write(
        """
endpoints:
  - {name: a, token: short, flow: "nosuch:bot", eightxeight: {api_key: "eght_0123456789"}}
  - {name: b, tokn: x, flow: "flows.bots.orders:ordres", transformers: {input: "nosuch:change"}}
  - {name: c, flow: 7}
  - {name: d, flow: "nosuch:bot", enabled: false}
"""
    )
    with pytest.raises(ConfigurationError) as refused:
        load_endpoints(path, ENVIRONMENT, bots=True)
    told = str(refused.value)
    assert "endpoints[0].token: must be 16 to 256" in told
    assert "endpoints[0].flow: (a) there is no module 'nosuch'" in told
    assert "endpoints[1].tokn: unknown key" in told
    assert "endpoints[1].flow: (b) flows.bots.orders has no 'ordres'" in told
    assert "endpoints[1].transformers.input: (b) nosuch can't be imported" in told
    assert "endpoints[2].flow: must be text" in told or "endpoints[2].flow: must be module" in told
    assert "endpoints[3].flow" not in told


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("handover: {queue: 101}", "handover.queue: must be text; write a number in quotes"),
        ("session_expiration: an hour", "session_expiration: must be a number"),
        ("encrypt: perhaps", "encrypt: must be true or false"),
        ("on_error: Sorry", "on_error: must be a mapping of keys to values"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_by_what_to_write(write: Write, setting: str, message: str) -> None:
    path = write(GOOD.rstrip() + f"\n    {setting}\n")
    _, mistakes = read_endpoints(path, ENVIRONMENT)
    assert [str(each).partition("].")[2] for each in mistakes] == [message]


def test_a_line_out_of_step_is_told_by_its_indentation(write: Write) -> None:
    _, [mistake] = read_endpoints(write("endpoints:\n  - name: a\n   token: b\n"), ENVIRONMENT)
    assert mistake.line == 3
    assert "is the line indented as those before it?" in str(mistake)
    _, [mistake] = read_endpoints(write("endpoints:\n\t- name: a\n"), ENVIRONMENT)
    assert "indent with spaces" in str(mistake)
