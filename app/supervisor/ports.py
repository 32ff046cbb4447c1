"""Ports: free ones, taken ones, and whether something answers there."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from app.errors import ConfigurationError


@dataclass(frozen=True)
class Port:
    """A port a part will listen on, and the variable that sets it."""

    variable: str
    host: str
    number: int


def check_ports(ports: Iterable[Port]) -> None:
    """Raise ConfigurationError that names every port that is taken, or given to two parts."""
    wrong: list[str] = []
    seen: dict[int, str] = {}
    for port in ports:
        if port.number in seen:
            wrong.append(f"port {port.number} is both {seen[port.number]} and {port.variable}")
        elif not is_free(port.host, port.number):
            wrong.append(f"port {port.number} ({port.variable}) is taken{_by_whom(port.number)}")
        seen[port.number] = port.variable
    if wrong:
        raise ConfigurationError("; ".join(wrong))


def is_free(host: str, number: int) -> bool:
    """Whether a server could listen there now. Raises ConfigurationError for a host of another machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
            trial.listen(1)
        except PermissionError:
            raise ConfigurationError(f"port {number} needs rights this user does not have") from None
        except socket.gaierror:
            raise ConfigurationError(f"{host} is not a host of this machine") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigurationError(f"{host} is not an address of this machine") from None
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.bind((host, 0))
        number: int = trial.getsockname()[1]
        return number


async def http_answers(host: str, port: int, path: str, *, within: float = 2.0) -> bool:
    """Whether a GET there is answered with 200. Plain sockets: the supervisor loads no HTTP client."""
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(reachable(host), port)
            try:
                request = (
                    f"GET {path} HTTP/1.1\r\nHost: {reachable(host)}:{port}\r\nConnection: close\r\n\r\n"
                )
                writer.write(request.encode())
                await writer.drain()
                status = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ")[1:2] == [b"200"]


async def accepts(url: str, *, within: float = 2.0) -> bool:
    """Whether the server of an http(s) URL takes connections."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, ValueError):  # of what is no URL, or no name of a host
        return False
    writer.close()
    return True


def reachable(host: str) -> str:
    """An address that reaches a server listening on `host`."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104


def _by_whom(number: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == number
            ):
                if connection.pid:
                    return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
                break
    except psutil.Error:
        pass
    return ""
