"""Fetching a file over HTTP: bounded in size, to checked addresses alone, redirects followed by hand.

The host's name is resolved once, every address it has is checked, and the connection goes to one of those:
between the check and the connection a name can't come to mean something else. TLS still asks for the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx

from app.errors import ParleyError
from app.files.addresses import Origin, Reach
from app.files.spool import Spool, TooBig
from app.tls import certificates

#: Addresses of a host, for a port.
Resolve = Callable[[str, int], Awaitable[list[str]]]

REDIRECTS = 3
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_AGAIN = frozenset({408, 425, 429})
#: Addresses of one host that are tried.
_TRIED = 3
_TIMEOUT = httpx.Timeout(10.0, connect=4.0)
_LIMITS = httpx.Limits(max_keepalive_connections=0)


class FetchFailed(ParleyError):
    """The file can't be had. `reason` is one word; `again`: another attempt may have it."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(f"The file can't be had: {reason}")
        self.reason = reason
        self.again = again


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file is. `own_headers` go to the endpoint's own gateway and nowhere else."""

    url: str
    own_headers: Mapping[str, str]


async def resolve(host: str, port: int) -> list[str]:
    """The host's addresses, as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Fetcher:
    """Fetches files; one for a process. Nothing of a URL is ever logged."""

    def __init__(self, *, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None) -> None:
        self._resolve = resolve
        self._tls = tls or certificates(trust_env=False)

    async def fetch(self, source: Source, reach: Reach, spool: Spool) -> None:
        """Fetch into an empty spool. Raises FetchFailed."""
        url = _url(source.url)
        for _ in range(REDIRECTS + 1):
            headers = source.own_headers if reach.is_own(url) else {}
            following = await self._hop(url, reach, headers, spool)
            if following is None:
                return
            url = following
        raise FetchFailed("redirects")

    async def _hop(
        self, url: httpx.URL, reach: Reach, headers: Mapping[str, str], spool: Spool
    ) -> httpx.URL | None:
        """One request; where it leads on to, or None once the file is there."""
        error = FetchFailed("unreachable", again=True)
        for address in (await self._addresses(url, reach))[:_TRIED]:
            try:
                return await self._request(url, address, headers, spool)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except TooBig:
                raise FetchFailed("too_big") from None
            except httpx.HTTPError:
                error = FetchFailed("broken_off", again=True)
                break
            except (httpx.InvalidURL, ValueError):
                raise FetchFailed("bad_url") from None
        raise error

    async def _addresses(self, url: httpx.URL, reach: Reach) -> list[str]:
        """The host's addresses; all of them must be allowed."""
        origin = Origin.of(url)
        try:
            found = await self._resolve(origin.host, origin.port)
        except socket.gaierror as error:
            raise FetchFailed("unknown_host", again=error.errno == socket.EAI_AGAIN) from None
        except (OSError, UnicodeError):
            raise FetchFailed("unknown_host") from None
        if not found or not all(reach.permits(url, address) for address in found):
            raise FetchFailed("refused_address")
        return found

    async def _request(
        self, url: httpx.URL, address: str, headers: Mapping[str, str], spool: Spool
    ) -> httpx.URL | None:
        # A client of its own: a connection that is kept could be used for another name at the same address.
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=_TIMEOUT, limits=_LIMITS) as client,
            client.stream(
                "GET",
                url.copy_with(host=address),
                headers={
                    "Host": url.netloc.decode("ascii"),
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",
                    "User-Agent": "parley",
                    **headers,
                },
                extensions={"sni_hostname": Origin.of(url).host},
                follow_redirects=False,
            ) as response,
        ):
            if response.status_code in _FOLLOWED:
                return _url(response.headers.get("location", ""), base=url)
            _check(response)
            await spool.restart()
            async for piece in response.aiter_raw(64 * 1024):
                await spool.write(piece)
        return None


def _check(response: httpx.Response) -> None:
    """Raise unless a file comes, as it is."""
    status = response.status_code
    if status in (404, 410):
        raise FetchFailed("not_found")
    if status != 200:
        raise FetchFailed(f"status_{status}", again=status in _AGAIN or status >= 500)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed("encoded")


def _url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """An http(s) URL with a host and no user. Raises FetchFailed."""
    try:
        url = base.join(text) if base is not None and text else httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise FetchFailed("bad_url") from None
    if url.scheme not in ("http", "https") or not url.raw_host or url.userinfo:
        raise FetchFailed("bad_url")
    return url
