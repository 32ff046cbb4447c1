"""Which addresses files may be fetched from."""

from __future__ import annotations

import httpx
import pytest

from app.endpoints import Endpoint
from app.files.addresses import Reach, is_public

PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # metadata of clouds
    "100.64.0.1",  # CGNAT
    "100.100.100.200",  # metadata of Alibaba
    "168.63.129.16",  # Azure's host
    "192.0.0.192",  # metadata of Oracle
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_on_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_on_the_internet_is_not(address: str) -> None:
    assert is_public(address)


def reach(base_url: str = "http://127.0.0.1:8088", *allow: str) -> Reach:
    endpoint = Endpoint.model_validate(
        {
            "name": "support",
            "token": "a-token-long-enough",
            "flow": "m:f",
            "eightxeight": {"base_url": base_url, "api_key": "key-of-8x8-long-enough"},
        }
    )
    return Reach.of(endpoint, allow)


def test_the_endpoints_own_gateway_may_be_on_this_machine_but_nothing_else_there() -> None:
    sandbox = reach()
    assert sandbox.permits(httpx.URL("http://127.0.0.1:8088/files/a"), "127.0.0.1")
    assert not sandbox.permits(httpx.URL("http://127.0.0.1:8089/files/a"), "127.0.0.1")
    assert not sandbox.permits(httpx.URL("https://127.0.0.1:8088/files/a"), "127.0.0.1")
    assert not sandbox.permits(httpx.URL("http://localhost:8088/files/a"), "127.0.0.1")
    assert not sandbox.permits(httpx.URL("https://rebound.example/files/a"), "127.0.0.1")


def test_the_own_gateway_is_the_same_with_its_default_port_written_out() -> None:
    gateway = reach("https://api.8x8.com")
    assert gateway.is_own(httpx.URL("https://API.8x8.com:443/chat"))
    assert not gateway.is_own(httpx.URL("http://api.8x8.com/chat"))
    assert not gateway.is_own(httpx.URL("https://api.8x8.com.evil.example/chat"))


def test_others_are_called_over_tls_alone() -> None:
    assert reach().permits(httpx.URL("https://files.example/a"), "8.8.8.8")
    assert not reach().permits(httpx.URL("http://files.example/a"), "8.8.8.8")


def test_private_hosts_addresses_and_networks_can_be_allowed() -> None:
    allowed = reach("https://api.8x8.com", "Files.intern", "10.1.0.0/16", "192.168.7.7")
    assert allowed.permits(httpx.URL("http://files.intern/a"), "10.9.9.9")
    assert allowed.permits(httpx.URL("http://any.intern/a"), "10.1.2.3")
    assert allowed.permits(httpx.URL("http://any.intern/a"), "::ffff:10.1.2.3")
    assert allowed.permits(httpx.URL("http://any.intern/a"), "192.168.7.7")
    assert not allowed.permits(httpx.URL("http://any.intern/a"), "192.168.7.8")
    assert not allowed.permits(httpx.URL("http://notfiles.intern/a"), "10.9.9.9")
