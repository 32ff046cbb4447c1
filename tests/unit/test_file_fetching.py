"""Fetching files from a real HTTP server on this machine; only the resolving of names is played."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import pytest

from app.files.addresses import Origin, Reach
from app.files.fetching import Fetcher, FetchFailed, Source
from app.files.spool import Spool
from tests.file_server import serving

LIMIT = 1_000_000


def names(**known: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        if host == "127.0.0.1":
            return [host]
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return known[host]

    return resolve


ALLOWED = Reach(Origin("https", "api.8x8.com", 443), frozenset({"files.intern"}))
RESOLVE = names(**{"files.intern": ["127.0.0.1"], "inside.example": ["8.8.8.8", "127.0.0.1"]})


async def fetched(url: str, reach: Reach = ALLOWED, **own_headers: str) -> bytes:
    with Spool(LIMIT) as spool:
        await Fetcher(resolve=RESOLVE).fetch(Source(url, own_headers), reach, spool)
        return b"".join([piece async for piece in spool.pieces()])


async def refused(url: str, reach: Reach = ALLOWED) -> str:
    with pytest.raises(FetchFailed) as caught:
        await fetched(url, reach)
    return caught.value.reason + (" again" if caught.value.again else "")


async def test_a_file_is_fetched_with_the_hosts_own_name() -> None:
    async with serving() as server:
        server.gives("/a", b"hello")
        assert await fetched(server.url("/a")) == b"hello"
        assert f"Host: files.intern:{server.port}\r\n" in server.requests[0]


async def test_a_host_of_which_one_address_is_private_is_not_called() -> None:
    async with serving() as server:
        server.gives("/a", b"secret")
        assert (
            await refused(server.url("/a", "inside.example").replace("http:", "https:")) == "refused_address"
        )
        assert await refused(server.url("/a", "127.0.0.1")) == "refused_address"
        assert server.requests == []


async def test_the_name_is_resolved_once_so_that_it_cannot_change_between_check_and_connection() -> None:
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with serving() as server:
        server.gives("/a", b"hello")
        with Spool(LIMIT) as spool:
            await Fetcher(resolve=rebinding).fetch(Source(server.url("/a"), {}), ALLOWED, spool)
            assert spool.size == 5
    assert asked == ["files.intern"]


async def test_a_redirect_is_followed_to_what_is_allowed_and_checked_again() -> None:
    async with serving() as server:
        server.gives("/a", b"hello")
        server.says("/moved", 302, "Location: /a")
        server.says("/inside", 302, f"Location: http://127.0.0.1:{server.port}/a")
        server.says("/odd", 302, "Location: file:///etc/passwd")
        server.says("/user", 302, f"Location: http://u:p@files.intern:{server.port}/a")
        assert await fetched(server.url("/moved")) == b"hello"
        assert await refused(server.url("/inside")) == "refused_address"
        assert await refused(server.url("/odd")) == "bad_url"
        assert await refused(server.url("/user")) == "bad_url"


async def test_at_most_three_redirects_are_followed() -> None:
    async with serving() as server:
        for number in range(4):
            server.says(f"/{number}", 307, f"Location: /{number + 1}")
        server.gives("/4", b"hello")
        assert await fetched(server.url("/1")) == b"hello"
        assert await refused(server.url("/0")) == "redirects"


async def test_the_api_key_goes_to_the_endpoints_own_gateway_alone() -> None:
    async with serving() as server:
        own = Reach(Origin("http", "127.0.0.1", server.port), frozenset({"files.intern"}))
        server.says("/content", 302, f"Location: {server.url('/a')}")
        server.gives("/a", b"hello")
        headers = {"x-api-key": "the-key"}
        assert await fetched(f"http://127.0.0.1:{server.port}/content", own, **headers) == b"hello"
        assert "the-key" in server.requests[0]
        assert "the-key" not in server.requests[1]


async def test_a_file_that_is_too_big_is_given_up_whether_it_says_so_or_not() -> None:
    async with serving() as server:
        server.gives("/big", bytes(LIMIT + 1))
        server.answers["/endless"] = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LIMIT + 1)
        server.answers["/liar"] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + bytes(LIMIT + 1)
        assert await refused(server.url("/big")) == "too_big"
        assert await refused(server.url("/endless")) == "too_big"
        assert await fetched(server.url("/liar")) == bytes(3)


async def test_what_a_server_says_decides_whether_it_is_tried_again() -> None:
    async with serving() as server:
        for status in (404, 410, 403, 204, 429, 503):
            server.says(f"/{status}", status)
        assert await refused(server.url("/404")) == "not_found"
        assert await refused(server.url("/410")) == "not_found"
        assert await refused(server.url("/403")) == "status_403"
        assert await refused(server.url("/204")) == "status_204"
        assert await refused(server.url("/429")) == "status_429 again"
        assert await refused(server.url("/503")) == "status_503 again"


async def test_a_file_that_breaks_off_is_none() -> None:
    async with serving() as server:
        server.answers["/half"] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        assert await refused(server.url("/half")) == "broken_off again"


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with serving() as server:
        server.gives("/bomb", b"\x1f\x8b...", "Content-Encoding: gzip")
        assert await refused(server.url("/bomb")) == "encoded"


async def test_nobody_at_the_address_and_unknown_names() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await refused(f"http://files.intern:{port}/a") == "unreachable again"
    assert await refused("https://nowhere.example/a") == "unknown_host"
    for url in ("ftp://files.intern/a", "https://", "no url", "", "https://u:p@files.intern/"):
        assert await refused(url) == "bad_url"
