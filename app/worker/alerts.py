"""Incidents are told to `alerts.webhook`, signed. Several workers share the work; each incident is told once.

    POST {"id", "kind", "endpoint", "conversation", "event", "at", "detail"}
    X-Parley-Signature: t=1767225600,v1=<hex HMAC-SHA256 of "<t>.<body>" with the secret>

An incident is claimed by moving its `alert_at` on, so no transaction is open during the request, and one that
failed, or whose worker died, is tried again then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversation.services import utc_now
from app.endpoints import Alerts
from app.tls import certificates

log = structlog.get_logger(__name__)

#: Seconds between two looks for incidents.
EVERY = 2.0
#: Seconds a receiver may take.
TIMEOUT = 5.0
#: Pause after the first failure, doubling up to the longest. The first is longer than the requests take for
#: all that is claimed at once.
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
#: What is older is no news any more.
NEWS = timedelta(days=1)
AT_ONCE = 5

_CLAIM = text(
    """
    WITH wanted AS (
        SELECT id FROM incident
        WHERE alerted_at IS NULL AND alert_at <= :now AND alert_at > :since AND at > :since
          AND (CAST(:kinds AS text[]) IS NULL OR kind = ANY(CAST(:kinds AS text[])))
        ORDER BY alert_at, id LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE incident i SET alert_attempts = i.alert_attempts + 1,
        alert_at = CAST(:now AS timestamptz)
            + make_interval(secs => LEAST(:first * pow(2, LEAST(i.alert_attempts, 10)), :longest))
    FROM wanted WHERE i.id = wanted.id
    RETURNING i.id, i.kind, i.endpoint, i.event_id, i.conversation_id, i.at, i.detail, i.alert_attempts,
        (SELECT c.external_id FROM conversation c WHERE c.id = i.conversation_id) AS external_id
    """
)

_TOLD = text("UPDATE incident SET alerted_at = :now WHERE id = :id")


class AlertSender:
    """Tells incidents, those of all endpoints and of receivers too. `alerts` may be set anew at any time."""

    def __init__(
        self,
        engine: AsyncEngine,
        alerts: Alerts | None,
        *,
        client: httpx.AsyncClient | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self.alerts = alerts
        self._client = client or httpx.AsyncClient(
            verify=certificates(), timeout=TIMEOUT, follow_redirects=False
        )
        self._now = now

    async def send(self) -> int:
        """Tell the incidents that are due; how many the receiver took. The rest comes back later."""
        told = 0
        while (alerts := self.alerts) is not None and (claimed := await self._claim(alerts)):
            for row in claimed:
                taken = await self._tell(alerts, row)
                if taken is None:
                    return told  # nobody is there; what was claimed with it comes back too
                if taken:
                    told += 1
                    async with self._engine.begin() as connection:
                        await connection.execute(_TOLD, {"id": row.id, "now": self._now()})
        return told

    async def _claim(self, alerts: Alerts) -> list[Any]:
        now = self._now()
        values = {
            "now": now,
            "since": now - NEWS,
            "kinds": alerts.kinds,
            "most": AT_ONCE,
            "first": FIRST_PAUSE.total_seconds(),
            "longest": LONGEST_PAUSE.total_seconds(),
        }
        async with self._engine.begin() as connection:
            rows = list(await connection.execute(_CLAIM, values))
        return sorted(rows, key=lambda row: int(row.id))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _tell(self, alerts: Alerts, row: Any) -> bool | None:
        """Whether the receiver took it; None where there was no answer."""
        body = json.dumps(alert(row), separators=(",", ":")).encode()
        at = int(self._now().timestamp())
        signature = sign(alerts.secret.get_secret_value(), at, body)
        headers = {"content-type": "application/json", "x-parley-signature": signature}
        try:
            answer = await self._client.post(alerts.webhook, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._complain(row, error=type(error).__name__)
            return None
        if not answer.is_success:
            self._complain(row, status=answer.status_code)
        return answer.is_success

    def _complain(self, row: Any, **how: object) -> None:
        log.warning("alert_not_taken", incident=row.id, kind=row.kind, attempt=row.alert_attempts, **how)


def alert(row: Any) -> dict[str, Any]:
    """What is posted: ids, kinds, numbers and times."""
    return {
        "id": row.id,
        "kind": row.kind,
        "endpoint": row.endpoint,
        "conversation": row.external_id,
        "conversation_number": row.conversation_id,
        "event": row.event_id,
        "at": row.at.isoformat(),
        "detail": row.detail,
    }


def sign(secret: str, at: int, body: bytes) -> str:
    """The signature's header, for a body sent at that second since 1970."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
