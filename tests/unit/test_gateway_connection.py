"""HTTP as the transport speaks it: what a server may do with a connection, and what the caller hears."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.gateway.connection import (
    Answer,
    ConnectError,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
    TooLate,
)
from app.gateway.transport import Target, Transport
from app.tls import certificates

#: What a server writes as its answers to a connection's requests, one after the other; "" closes.
Answers = list[bytes]
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Server:
    """Answers each connection's requests from a list of its own copy."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serving(answers: Answers, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                server.requests.append(head)
                writer.write(answer)
                await writer.drain()
                if not answer:
                    break
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def target(server: Server, *, scheme: bytes = b"http", key: bytes = b"key") -> Target:
    return Target(scheme, b"localhost", server.port, "", ((b"Host", b"localhost"), (b"x-api-key", key)))


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport(connections=2, idle=0.3)
    yield made
    await made.aclose()


Get = Callable[[Target], Awaitable[Answer]]


@pytest.fixture
def get(transport: Transport) -> Get:
    return lambda target: transport.request(target, b"GET", "/x", None, timeout=2.0, limit=1000)


async def test_requests_one_after_the_other_share_a_connection(get: Get) -> None:
    async with serving([ACCEPTED] * 3) as server:
        for _ in range(3):
            assert await get(target(server)) == Answer(202, None, b"", True)
        assert server.connections == 1


async def test_a_connection_that_was_idle_for_long_is_not_used_again(get: Get) -> None:
    async with serving([ACCEPTED] * 3) as server:
        await get(target(server))
        await asyncio.sleep(0.4)
        await get(target(server))
        assert server.connections == 2


async def test_a_connection_the_server_has_closed_is_not_used_again(get: Get) -> None:
    async with serving([ACCEPTED, b""]) as server:
        await get(target(server))
        with pytest.raises(RemoteProtocolError):
            await get(target(server))
        await get(target(server))
        assert server.connections == 2


async def test_an_answer_that_says_close_ends_its_connection(get: Get) -> None:
    closing = b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with serving([closing] * 2) as server:
        await get(target(server))
        await get(target(server))
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTED, Answer(202, None, b"", True)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            Answer(200, None, b"abc", True),
        ),
        (
            b"HTTP/1.1 429 Slow\r\nretry-AFTER: 7\r\nContent-Length: 2\r\n\r\nno",
            Answer(429, "7", b"no", True),
        ),
        (b"HTTP/1.1 204 Gone\r\n\r\n", Answer(204, None, b"", True)),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000,
            Answer(200, None, b"", False),
        ),
    ],
)
async def test_answers_are_read_as_http_has_them(get: Get, answer: bytes, expected: Answer) -> None:
    async with serving([answer]) as server:
        assert await get(target(server)) == expected


async def test_a_body_without_length_ends_with_its_connection(get: Get) -> None:
    async with serving_once(b"HTTP/1.1 200 OK\r\n\r\nabc") as port:
        assert await get(target(Server(port))) == Answer(200, None, b"abc", True)


async def test_a_body_that_breaks_off_is_incomplete(get: Get) -> None:
    async with serving_once(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") as port:
        assert await get(target(Server(port))) == Answer(200, None, b"abc", False)


@pytest.mark.parametrize("answer", [b"220 mail.example.com ESMTP\r\n", b"HTTP/1.1 20", b""])
async def test_what_is_no_answer_leaves_it_open_what_became_of_the_request(get: Get, answer: bytes) -> None:
    async with serving_once(answer) as port:
        with pytest.raises(RemoteProtocolError):
            await get(target(Server(port)))


async def test_a_connection_that_is_reset_leaves_it_open_too(get: Get) -> None:
    async with serving_once(None) as port:
        with pytest.raises((ReadError, RemoteProtocolError)):
            await get(target(Server(port)))


async def test_a_request_that_is_given_up_takes_its_connection_with_it(transport: Transport) -> None:
    async with serving([ACCEPTED, b"HTTP/1.1 2"] * 2) as server:
        await transport.request(target(server), b"GET", "/x", None, timeout=1.0, limit=10)
        with pytest.raises(TimeoutError):
            await transport.request(target(server), b"GET", "/x", None, timeout=0.1, limit=10)
        await transport.request(target(server), b"GET", "/x", None, timeout=1.0, limit=10)
        assert server.connections == 2


@pytest.mark.parametrize("size", [10, 20_000_000])
async def test_requests_that_are_given_up_leave_nothing_open(transport: Transport, size: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody reads
        asked = target(Server(silent.getsockname()[1]))
        before = psutil.Process().num_fds()
        for _ in range(3):
            given_up = [
                transport.request(asked, b"POST", "/x", b"x" * size, timeout=0.5, limit=10) for _ in range(2)
            ]
            for error in await asyncio.gather(*given_up, return_exceptions=True):
                assert isinstance(error, TimeoutError)
        for _ in range(3):
            await asyncio.sleep(0)  # what is aborted is closed by the loop's next turn
        assert psutil.Process().num_fds() <= before


async def test_a_request_that_finds_no_connection_free_has_not_begun(transport: Transport) -> None:
    async with serving([b"HTTP/1.1 2"]) as server:
        asked = target(server)
        stuck = [
            asyncio.create_task(transport.request(asked, b"GET", "/", None, timeout=1.0, limit=10))
            for _ in range(2)
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(PoolTimeout):
            await transport.request(asked, b"GET", "/", None, timeout=0.2, limit=10)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_what_may_not_begin_any_more_is_not_written_and_its_connection_is_kept(
    transport: Transport,
) -> None:
    async with serving([ACCEPTED]) as server:
        asked = target(server)
        with pytest.raises(TooLate):
            await transport.request(
                asked, b"POST", "/late", b"{}", timeout=1.0, limit=10, may_begin=lambda: False
            )
        await transport.request(asked, b"POST", "/x", b"{}", timeout=1.0, limit=10, may_begin=lambda: True)
        assert [head.split()[1] for head in server.requests] == [b"/x"]
        assert server.connections == 1


async def test_a_key_that_would_break_the_request_up_is_never_sent(get: Get) -> None:
    async with serving([ACCEPTED]) as server:
        with pytest.raises(LocalProtocolError):
            await get(target(server, key=b"key\r\nx: y"))
        assert server.requests == []


async def test_a_certificate_that_nobody_trusts_is_refused(get: Get, tmp_path: Path) -> None:
    async with serving([ACCEPTED], tls=self_signed(tmp_path)) as server:
        with pytest.raises(ConnectError):
            await get(target(server, scheme=b"https"))
        assert server.requests == []


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's certificate, which is all that SSL_CERT_FILE names while the test runs."""
    context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    certificates.cache_clear()
    yield context
    certificates.cache_clear()


async def test_a_certificate_that_is_trusted_is_used(get: Get, trusted: ssl.SSLContext) -> None:
    async with serving([ACCEPTED] * 2, tls=trusted) as server:
        assert await get(target(server, scheme=b"https")) == Answer(202, None, b"", True)
        assert await get(target(server, scheme=b"https")) == Answer(202, None, b"", True)
        assert server.connections == 1


def test_certificates_are_read_once_and_those_of_the_environment_are_others(
    trusted: ssl.SSLContext,
) -> None:
    assert certificates() is certificates()
    assert len(certificates().get_ca_certs()) == 1
    assert len(certificates(trust_env=False).get_ca_certs()) > 1
    assert certificates(trust_env=False) is certificates(trust_env=False)


@asynccontextmanager
async def serving_once(answer: bytes | None) -> AsyncIterator[int]:
    """Writes these bytes as the answer to the first request and closes; None: resets the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            writer.transport.abort()
            return
        writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a fresh certificate for localhost, left in `folder/certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
