"""Names of this machine that lead nowhere else."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether this is an address of the loopback, or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def names_loopback(host_header: str | None) -> bool:
    """Whether a request's Host names this machine so.

    Any other name that leads to the loopback was made up by somebody else's name server: the page that asks
    is another site's, whatever its Origin says.
    """
    try:
        named = urlsplit(f"//{host_header or ''}").hostname
    except ValueError:
        return False
    return is_loopback(named or "")
