"""The settings of sessions, data and functions in endpoints.yaml, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

from app.endpoints_file import load_endpoints, read_endpoints
from app.sealing import new_key

HEAD = """
endpoints:
  - name: support
    token: a-token-of-24-characters
    flow: flows.bots.orders:orders
    eightxeight: {api_key: eght_0123456789}
"""

ALL = """
    session_expiration: 0
    locale: de-CH
    contact_profiles: false
    profile_ttl: 7
    collect_analytics: false
    collect_conversations: false
    mask_ip_address: true
    mask_sensitive_analytics: true
    mask_sensitive_logging: true
    input_sanitization: true
    hide_external_references: true
    encrypt: true
    adaptive_card_version: "1.5"
    read_receipts: true
    retention: {events: 7, transcripts: 365, analytics: 30}
    transformers: {input: tests.bots:input, abort_on_error: true, timeout: 2}
    callers: {tokens: ['sha256:%s'], rate: 5, burst: 9}
""" % ("a" * 64)


def read(tmp_path: Path, settings: str, **environ: str) -> list[str]:
    """The mistakes of a file with these settings, as lines."""
    path = tmp_path / "endpoints.yaml"
    path.write_text(HEAD + settings)
    return [str(mistake) for mistake in read_endpoints(path, environ)[1]]


def test_every_setting_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, ALL, PARLEY_ENCRYPTION_KEY=new_key()) == []
    path = tmp_path / "endpoints.yaml"
    (endpoint,) = load_endpoints(path, {"PARLEY_ENCRYPTION_KEY": new_key()}).endpoints
    assert (endpoint.session_expiration, endpoint.profile_ttl, endpoint.retention.events) == (0, 7, 7)
    assert endpoint.encrypt and endpoint.erases and not endpoint.contact_profiles
    assert endpoint.transformers.named() == {"input": "tests.bots:input"}
    assert endpoint.read_receipts and endpoint.adaptive_card_version == "1.5"


def test_unless_told_nothing_is_masked_and_everything_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "") == []
    (endpoint,) = load_endpoints(tmp_path / "endpoints.yaml", {}).endpoints
    assert endpoint.session_expiration == 1800
    assert endpoint.contact_profiles and endpoint.collect_analytics and endpoint.collect_conversations
    assert not endpoint.erases and not endpoint.encrypt and not endpoint.transformers.named()


def test_encryption_needs_a_key_that_is_one(tmp_path: Path) -> None:
    for environ in ({}, {"PARLEY_ENCRYPTION_KEY": "short"}, {"PARLEY_ENCRYPTION_KEY": "a key?"}):
        (mistake,) = read(tmp_path, "    encrypt: true\n", **environ)
        assert mistake.startswith("line 7: endpoints[0].encrypt: PARLEY_ENCRYPTION_KEY must be 32 bytes")


def test_mistakes_name_line_and_place_and_never_a_value(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
    retention: {events: -1}
    transformers: {inputt: a:b, output: not-a-path}
    callers: {tokens: [a-token-instead-of-its-hash]}
    locale: Deutsch!
    session_expiration: -1
""",
    )
    text = "\n".join(found)
    assert len(found) == 6
    assert "endpoints[0].transformers.inputt: unknown key, did you mean 'input'?" in text
    assert "endpoints[0].transformers.output: must be module:function" in text
    assert "endpoints[0].callers.tokens[0]: must be hashes of tokens" in text
    assert "endpoints[0].locale: must be a locale" in text
    assert "a-token-instead" not in text and "Deutsch" not in text


def test_transformers_that_are_not_there_are_told(tmp_path: Path) -> None:
    read(tmp_path, "    transformers: {input: 'app.sealing:nothing', notify: 'app.sealing:new_key'}\n")
    _, mistakes = read_endpoints(tmp_path / "endpoints.yaml", {}, bots=True)
    assert [str(mistake).partition(": ")[2] for mistake in mistakes] == [
        "endpoints[0].transformers.input: (support) app.sealing has no function 'nothing'",
        "endpoints[0].transformers.notify: (support) app.sealing:new_key must take one argument",
    ]
