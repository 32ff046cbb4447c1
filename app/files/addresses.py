"""Where files may be fetched from: the internet, the endpoint's own gateway, and what the settings allow.

A pre-signed URL comes with an event. Were it followed blindly, whoever can make one could have Parley call
what only Parley can reach: databases, admin pages, a cloud's metadata service.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

import httpx

from app.endpoints import Endpoint

_PORTS = {"http": 80, "https": 443}

#: IPv6 networks that carry an IPv4 address in these bits (RFC 4291, 6052, 3056): that one counts.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
#: Not the internet, whatever a version of Python's `is_global` says: Teredo, local NAT64, site-local.
_REFUSED_V6 = tuple(map(IPv6Network, ("2001::/32", "64:ff9b:1::/48", "fec0::/10", "fc00::/7", "fe80::/10")))
#: For protocols (Oracle's metadata are among them), relays, and Azure's host at a public address.
_REFUSED_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to a host on the internet."""
    if "%" in address:  # a link-local one with its zone
        return False
    return _is_public(ip_address(address))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        for network, shift in _CARRIERS:
            if address in network:
                return _is_public(IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
        if any(address in network for network in _REFUSED_V6):
            return False
    elif any(address in network for network in _REFUSED_V4):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Of a URL; the default port where it names none."""
        host = url.raw_host.decode("ascii").lower()
        return cls(url.scheme, host, url.port or _PORTS.get(url.scheme, 0))


@dataclass(frozen=True, slots=True)
class Reach:
    """What one endpoint's files may be fetched from."""

    own: Origin
    hosts: frozenset[str] = frozenset()
    networks: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, endpoint: Endpoint, allow: Iterable[str]) -> Self:
        """The endpoint's gateway, and the settings' `files.allow`: hosts, addresses, networks."""
        networks = tuple(each for each in allow if is_network(each))
        hosts = frozenset(each.lower() for each in allow if not is_network(each))
        return cls(Origin.of(httpx.URL(endpoint.eightxeight.base_url)), hosts, networks)

    def is_own(self, url: httpx.URL) -> bool:
        """Whether this is the endpoint's own gateway, which alone gets the API key."""
        return Origin.of(url) == self.own

    def permits(self, url: httpx.URL, address: str) -> bool:
        """Whether a request may go to this address of the URL's host."""
        if self.is_own(url) or self._is_allowed(url, address):
            return True
        return url.scheme == "https" and is_public(address)

    def _is_allowed(self, url: httpx.URL, address: str) -> bool:
        if Origin.of(url).host in self.hosts:
            return True
        ip = ip_address(address.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in ip_network(network, strict=False) for network in self.networks)


def is_network(text: str) -> bool:
    """Whether this is an address or a network rather than a host's name."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
