"""What endpoints.yaml must keep to beyond its types: no duplicates, usable addresses, keys that are keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from app.files.clamd import split

#: A host's name, as files.allow has it.
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")

Place: TypeAlias = tuple[str | int, ...]

#: Shortest API key that is taken for one.
SHORTEST_KEY = 8

#: Shortest secret that alerts are signed with.
SHORTEST_SECRET = 16

#: What is said of a setting whose value its type refuses.
EXPLANATIONS = {
    "name": "must be 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
    "token": "must be 16 to 256 of A-Z, a-z, 0-9 and - _ ~ . (or a list of such tokens)",
    "flow": "must be module:function, such as flows.bots.echo:echo",
    "enabled": "must be true, false or draining",
    "locale": "must be a locale such as de or de-CH",
    "tokens": "must be hashes of tokens, sha256:…, as `parley token new` prints them",
    **dict.fromkeys(("input", "output", "execution_finished", "inject", "notify"), "must be module:function"),
}

#: By the type of pydantic's error, where its own words don't tell what to write.
TYPES = {
    "string_type": "must be text; write a number in quotes",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
}


def broken_rules(document: Any) -> Iterator[tuple[Place, str]]:
    """Place and message of each rule the document breaks, whether or not its types are right."""
    if isinstance(document, dict) and isinstance(document.get("alerts"), dict):
        yield from _alerts(document["alerts"])
    if isinstance(document, dict) and isinstance(document.get("files"), dict):
        yield from _files(document["files"])
    entries = document.get("endpoints") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return
    endpoints = [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]
    yield from _duplicates(endpoints)
    for index, entry in endpoints:
        handover = entry.get("handover")
        if isinstance(handover, dict) and (message := _transcript_url(handover.get("transcript_url"))):
            yield ("endpoints", index, "handover", "transcript_url"), message
        gateway = entry.get("eightxeight")
        if isinstance(gateway, dict):
            for key, message in _gateway(gateway):
                yield ("endpoints", index, "eightxeight", key), message


def _duplicates(endpoints: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str]]:
    names: dict[str, int] = {}
    tokens: dict[str, int] = {}
    for index, entry in endpoints:
        name = entry.get("name")
        if isinstance(name, str) and names.setdefault(name, index) != index:
            yield ("endpoints", index, "name"), f"is the name of endpoints[{names[name]}] too"
        token = entry.get("token")
        seen: set[str] = set()
        for each in token if isinstance(token, list) else [token]:
            if not isinstance(each, str) or not each:
                continue
            if each in seen:
                yield ("endpoints", index, "token"), "has the same token twice"
            elif tokens.setdefault(each, index) != index:
                yield ("endpoints", index, "token"), f"has a token of endpoints[{tokens[each]}] too"
            seen.add(each)
        if token == []:
            yield ("endpoints", index, "token"), "needs at least one token"


def _gateway(gateway: dict[str, Any]) -> Iterator[tuple[str, str]]:
    key = gateway.get("api_key")
    if isinstance(key, str):
        if len(key) < SHORTEST_KEY:
            yield "api_key", f"must have at least {SHORTEST_KEY} characters" if key else "is empty"
        elif not key.isascii() or not key.isprintable() or key != key.strip():
            yield "api_key", "must be printable ASCII without spaces around it"
    tenant = gateway.get("tenant")
    if isinstance(tenant, str) and (not tenant.strip() or tenant != tenant.strip()):
        yield "tenant", "must be a tenant id; leave it out to pin the first verified one"
    base_url = gateway.get("base_url")
    if isinstance(base_url, str) and (message := _wrong_url(base_url)):
        yield "base_url", message
    jwk_url = gateway.get("jwk_url")
    if isinstance(jwk_url, str):
        if "{kid}" not in jwk_url:
            yield "jwk_url", "must hold {kid}, the place of the key's id"
        elif message := _wrong_url(jwk_url.replace("{base_url}", "https://host").replace("{kid}", "kid")):
            yield "jwk_url", message


def _transcript_url(url: object) -> str | None:
    """`{id}` is filled in; nothing else in braces could be."""
    if not isinstance(url, str):
        return None
    return "may hold {id} and no other braces" if set("{}") & set(url.replace("{id}", "")) else None


def _alerts(alerts: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    webhook, secret = alerts.get("webhook"), alerts.get("secret")
    if isinstance(webhook, str) and (message := _wrong_url(webhook.partition("?")[0])):
        yield ("alerts", "webhook"), message
    if isinstance(secret, str) and len(secret) < SHORTEST_SECRET:
        yield ("alerts", "secret"), f"must have at least {SHORTEST_SECRET} characters"


def _files(files: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    clamd = files.get("clamd")
    if isinstance(clamd, str) and not clamd.startswith("/"):
        try:
            split(clamd)
        except ValueError:
            yield ("files", "clamd"), "must be host:port, or the path of a socket"
    allow = files.get("allow")
    for index, each in enumerate(allow if isinstance(allow, list) else []):
        if isinstance(each, str) and not _is_network(each) and not _HOST.fullmatch(each):
            yield ("files", "allow", index), "must be a host, an address or a network such as 10.1.0.0/16"
    storage = files.get("storage")
    if not isinstance(storage, dict):
        return
    endpoint = storage.get("endpoint")
    if isinstance(endpoint, str) and (message := _wrong_url(endpoint)):
        yield ("files", "storage", "endpoint"), message
    if (storage.get("access_key_id") is None) != (storage.get("secret_access_key") is None):
        yield ("files", "storage"), "needs both access_key_id and secret_access_key, or neither"
    if (storage.get("account") is None) and storage.get("account_key") is not None:
        yield ("files", "storage"), "needs the account that account_key is of"


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _wrong_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with https:// (or http://) and a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if parts.query or parts.fragment:
        return "must not hold a query or fragment"
    return None
