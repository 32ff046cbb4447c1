"""Who may see the console.

With `PARLEY_CONSOLE_PASSWORD` everybody logs in: with the password, which allows everything, or with an API
token, which allows to look at its endpoints. Without one the console is open to this machine alone: to
requests from the loopback that name it by a loopback name (so no other site's page can ask by a name of its
own) and that no proxy has passed on.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request
from litestar.middleware.session.base import SessionMiddleware
from litestar.middleware.session.client_side import ClientSideSessionBackend, CookieBackendConfig
from litestar.types import ASGIApp
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.tokens import find_reader
from app.loopback import is_loopback, names_loopback

AnyRequest = Request[Any, Any, Any]

#: Seconds that a login lasts, by the password and by a token (which may be revoked meanwhile).
PASSWORD_LASTS = 12 * 3600
TOKEN_LASTS = 3600
#: Seconds that a wrong password costs; one is tried at a time.
PENALTY = 0.5


class Forbidden(Exception):
    """The console is not for whoever asks."""


class LoginNeeded(Exception):
    """Nobody is logged in."""


@dataclass(frozen=True)
class Viewer:
    """Who looks. `endpoints` None: all of them; `acts`: may redrive; `csrf` is what forms carry."""

    name: str
    endpoints: tuple[str, ...] | None
    acts: bool
    csrf: str
    can_leave: bool

    def may_see(self, endpoint: str) -> bool:
        """Whether this endpoint's conversations are for the viewer."""
        return self.endpoints is None or endpoint in self.endpoints


class Access:
    """Logins and sessions, which live in an encrypted cookie."""

    def __init__(
        self, engine: AsyncEngine, password: str | None, now: Callable[[], datetime], url: str | None
    ) -> None:
        self._engine = engine
        self._password = password
        self._now = now
        self._trying = asyncio.Lock()
        config = CookieBackendConfig(
            secret=_secret(password),
            key="parley-console",
            path="/console",
            max_age=PASSWORD_LASTS,
            httponly=True,
            samesite="strict",
            secure=bool(url and url.startswith("https:")),
        )
        self._backend = ClientSideSessionBackend(config)

    def middleware(self) -> Callable[[ASGIApp], SessionMiddleware[ClientSideSessionBackend]]:
        """What reads and writes the cookie. (A plain function: Litestar copies what its routers get.)"""
        backend = self._backend
        return lambda app: SessionMiddleware(app, backend)

    def viewer(self, request: AnyRequest) -> Viewer:
        """Who asks. Raises LoginNeeded, or Forbidden where no login would help."""
        if self._password is None:
            if not self._from_here(request):
                raise Forbidden
            return Viewer("this machine", None, True, self.csrf(request), False)
        session = request.session
        if session.get("until", 0) < self._now().timestamp():
            raise LoginNeeded
        endpoints = session.get("endpoints")
        return Viewer(
            name=session["name"],
            endpoints=None if endpoints is None else tuple(endpoints),
            acts=bool(session.get("acts")),
            csrf=self.csrf(request),
            can_leave=True,
        )

    def csrf(self, request: AnyRequest) -> str:
        """What forms of this session carry."""
        token: str = request.session.setdefault("csrf", secrets.token_urlsafe(24))
        return token

    def check(self, request: AnyRequest, given: str) -> None:
        """Raise Forbidden unless a form came from a page of this session."""
        known = request.session.get("csrf")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if not known or not hmac.compare_digest(known.encode(), given.encode()) or site != "same-origin":
            raise Forbidden

    async def log_in(self, request: AnyRequest, given: str) -> bool:
        """Whether the password or token is right; then the session is theirs."""
        if self._password is None:
            return False
        now = self._now()
        entry: dict[str, Any] | None = None
        async with self._trying:
            if hmac.compare_digest(_digest(given), _digest(self._password)):
                entry = {
                    "name": "ops",
                    "endpoints": None,
                    "acts": True,
                    "until": now.timestamp() + PASSWORD_LASTS,
                }
            elif reader := await find_reader(self._engine, given, scope="analytics", now=now):
                endpoints = None if reader.endpoints is None else list(reader.endpoints)
                until = now.timestamp() + TOKEN_LASTS
                entry = {"name": reader.name, "endpoints": endpoints, "acts": False, "until": until}
            else:
                await asyncio.sleep(PENALTY)
        if entry is None:
            return False
        request.set_session({**entry, "csrf": secrets.token_urlsafe(24)})
        return True

    def _from_here(self, request: AnyRequest) -> bool:
        passed_on = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
        client = request.client.host if request.client else ""
        return not passed_on and is_loopback(client) and names_loopback(request.headers.get("host"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _secret(password: str | None) -> bytes:
    """The cookies' key: of the password, so that several receivers agree and a new one ends all sessions."""
    if password is None:
        return secrets.token_bytes(32)
    return hashlib.scrypt(password.encode(), salt=b"parley console sessions", n=2**14, r=8, p=1, dklen=32)
