"""Public keys: found once, kept, and never lost to somebody else's mishap."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from app.endpoints import EightXEight
from app.errors import EventRefused
from app.gateway.key_service import KeyService, key_url, read_key
from app.gateway.keys import Fetched, KeyCache, KeyServiceAway, KeyUnknown

KEY = RSAKey.generate_key(2048)
JWK = json.dumps(KEY.as_dict(private=False)).encode()
URL = "https://8x8/jwk/a"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """A key service that answers what it was told: a key, None (no such key) or away."""

    def __init__(self, *answers: RSAKey | KeyServiceAway | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, url: str) -> RSAKey | None:
        self.asked.append(url)
        await self.open.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KeyServiceAway):
            raise answer
        return answer


def away() -> KeyServiceAway:
    return KeyServiceAway("HTTP 500")


async def settled(cache: KeyCache) -> None:
    """Wait until nothing is being fetched."""
    async with asyncio.timeout(2):
        while cache.fetching:  # noqa: ASYNC110 - a turn of the loop, not a time
            await asyncio.sleep(0)


async def test_a_key_is_fetched_once_and_kept_for_an_hour() -> None:
    clock, service = Clock(), Service(KEY)
    cache = KeyCache(service.fetch, clock=clock)
    for _ in range(3):
        assert await cache.get("support", URL) is KEY
    clock.now += 3599
    await cache.get("support", URL)
    assert len(service.asked) == 1
    clock.now += 2
    assert await cache.get("support", URL) is KEY
    await settled(cache)
    assert len(service.asked) == 2


async def test_many_at_once_ask_for_a_key_once() -> None:
    service = Service(KEY)
    service.open.clear()
    cache = KeyCache(service.fetch)
    waiting = [asyncio.create_task(cache.get("support", URL)) for _ in range(50)]
    await asyncio.sleep(0)
    service.open.set()
    assert await asyncio.gather(*waiting) == [KEY] * 50
    assert len(service.asked) == 1


async def test_a_request_that_goes_away_takes_no_others_key_with_it() -> None:
    service = Service(KEY)
    service.open.clear()
    cache = KeyCache(service.fetch)
    first, second = (asyncio.create_task(cache.get("support", URL)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    service.open.set()
    assert await second is KEY


async def test_a_key_service_that_fails_once_is_asked_again_at_once() -> None:
    service = Service(away(), KEY)
    cache = KeyCache(service.fetch)
    with pytest.raises(KeyServiceAway) as refusal:
        await cache.get("support", URL)
    assert refusal.value.status == 503
    assert await cache.get("support", URL) is KEY


async def test_an_unknown_key_is_remembered_for_half_a_minute() -> None:
    clock, service = Clock(), Service(None, KEY)
    cache = KeyCache(service.fetch, clock=clock)
    for _ in range(3):
        with pytest.raises(KeyUnknown) as refusal:
            await cache.get("support", URL)
        assert refusal.value.status == 401
    assert len(service.asked) == 1
    clock.now += 31
    assert await cache.get("support", URL) is KEY


async def test_a_refresh_that_fails_keeps_the_old_key_and_is_tried_again_later() -> None:
    clock, service = Clock(), Service(KEY, away())
    cache = KeyCache(service.fetch, clock=clock)
    await cache.get("support", URL)
    clock.now += 3601
    for _ in range(5):
        assert await cache.get("support", URL) is KEY
        await settled(cache)
    assert len(service.asked) == 2
    clock.now += 31
    assert await cache.get("support", URL) is KEY
    await settled(cache)
    assert len(service.asked) == 3


async def test_a_key_goes_on_serving_while_it_is_fetched_again() -> None:
    clock, service = Clock(), Service(KEY)
    cache = KeyCache(service.fetch, clock=clock)
    await cache.get("support", URL)
    clock.now += 3601
    service.open.clear()
    async with asyncio.timeout(1):
        assert await cache.get("support", URL) is KEY
    await cache.aclose()


async def test_a_withdrawn_key_is_dropped_when_it_is_missing_twice() -> None:
    clock, service = Clock(), Service(KEY, None)
    cache = KeyCache(service.fetch, clock=clock)
    await cache.get("support", URL)
    clock.now += 3601
    assert await cache.get("support", URL) is KEY
    await settled(cache)
    clock.now += 31
    assert await cache.get("support", URL) is KEY
    await settled(cache)
    with pytest.raises(KeyUnknown):
        await cache.get("support", URL)


async def test_random_key_ids_do_not_become_a_flood_and_hurt_neither_known_keys_nor_other_endpoints() -> None:
    clock = Clock()
    asked: list[str] = []
    results: list[Fetched] = []

    async def fetch(url: str) -> RSAKey | None:
        asked.append(url)
        return KEY if url.endswith("good") else None

    cache = KeyCache(fetch, clock=clock, rate=1, burst=20, on_fetch=results.append)
    await cache.get("support", "good")
    statuses = []
    for number in range(500):
        with pytest.raises(EventRefused) as refusal:
            await cache.get("support", f"random-{number}")
        statuses.append(refusal.value.status)
    assert len(asked) == 20
    assert statuses == [401] * 19 + [503] * 481
    assert results.count(Fetched.LIMITED) == 481
    assert await cache.get("support", "good") is KEY
    assert await cache.get("sales", "other-good") is KEY
    clock.now += 5
    for number in range(500, 600):
        with pytest.raises(EventRefused):
            await cache.get("support", f"random-{number}")
    assert len(asked) == 26


@pytest.mark.parametrize("body", [JWK, json.dumps(JWK.decode()).encode()])
def test_a_jwk_is_read_bare_or_within_a_string(body: bytes) -> None:
    assert read_key(body).as_dict(private=False)["n"] == KEY.as_dict(private=False)["n"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"kty": "oct", "k": "c2VjcmV0"}',
        b'{"kty": "RSA"}',
        b'{"kty": "RSA", "n": "!!", "e": "AQAB"}',
        b'{"kty": "RSA", "n": "AAAA", "e": "AQAB"}',
        b"\xff",
        b"[" * 60_000,
        json.dumps({"kty": "RSA", "n": "g" * 171, "e": "AQAB"}).encode(),  # 1024 bits
    ],
)
def test_what_is_no_usable_key_counts_as_a_failure_so_that_it_is_not_kept(body: bytes) -> None:
    with pytest.raises(KeyServiceAway):
        read_key(body)


@asynccontextmanager
async def answering(answer: bytes | None, requests: list[str]) -> AsyncIterator[str]:
    """An HTTP server with one answer; None: it never comes."""
    finished = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if answer is None:
            await finished.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        finished.set()
        server.close()


def reply(status: int, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


async def test_a_key_is_fetched_without_an_api_key() -> None:
    requests: list[str] = []
    service = KeyService()
    async with answering(reply(200, JWK), requests) as url:
        settings = EightXEight(base_url=url + "/", api_key=SecretStr("secret-key"))
        key = await service.fetch(key_url(settings, "abc"))
    await service.aclose()
    assert key is not None
    assert requests[0].startswith("GET /chat-gateway/v1/jwk/abc/public HTTP/1.1\r\n")
    assert not re.search("api-key|secret-key|authorization", requests[0], re.IGNORECASE)


def test_the_path_of_the_keys_may_be_set() -> None:
    settings = EightXEight(
        base_url="https://h",
        api_key=SecretStr("k" * 16),
        jwk_url="{base_url}/vcc/us/chat/v2/jwk/{kid}/public",
    )
    assert key_url(settings, "abc") == "https://h/vcc/us/chat/v2/jwk/abc/public"


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_key_that_is_not_there_is_none(status: int) -> None:
    service = KeyService()
    async with answering(reply(status, b""), []) as url:
        assert await service.fetch(url) is None
    await service.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        reply(500, b""),
        reply(401, b""),
        reply(429, b""),
        reply(302, b"", "location: http://127.0.0.1:1/"),
        reply(200, b"x" * 100_000),
        b"",
        b"nonsense",
        None,
    ],
)
async def test_any_other_answer_is_a_failure(answer: bytes | None) -> None:
    service = KeyService(timeout=0.3)
    requests: list[str] = []
    async with asyncio.timeout(3), answering(answer, requests) as url:
        with pytest.raises(KeyServiceAway):
            await service.fetch(url)
    await service.aclose()
    assert len(requests) == 1


async def test_a_key_service_that_is_not_there_is_a_failure() -> None:
    service = KeyService(timeout=1)
    for url in ("http://127.0.0.1:1/x", "http://nowhere.invalid/x", "no url"):
        with pytest.raises(KeyServiceAway):
            await service.fetch(url)
    await service.aclose()
