"""Which endpoints collect analytics, told to the database: views and counts leave out what began meanwhile.

What a bot needs to go on is in the same tables, so it is not what is stored that differs but who sees it.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.database.engine import connect
from app.endpoints import Endpoint

#: An endpoint that has handled nothing yet never collected: what waits for the first worker isn't counted.
_OFF = """
INSERT INTO uncounted (endpoint, since)
SELECT name, CASE
    WHEN EXISTS (SELECT 1 FROM uncounted u WHERE u.endpoint = name) THEN now()
    WHEN EXISTS (SELECT 1 FROM conversation c WHERE c.endpoint = name AND c.handled_at IS NOT NULL) THEN now()
    ELSE '-infinity' END
FROM unnest($1::text[]) AS name
ON CONFLICT (endpoint) WHERE until IS NULL DO NOTHING
"""

_ON = "UPDATE uncounted SET until = now() WHERE until IS NULL AND endpoint = ANY($1::text[])"


async def note_collecting(url: str, endpoints: Iterable[Endpoint]) -> None:
    """From now on these endpoints collect, or don't, as they are set. Raises what the database raises."""
    off: list[str] = []
    on: list[str] = []
    for endpoint in endpoints:
        (on if endpoint.collect_analytics else off).append(endpoint.name)
    connection = await connect(url, application="parley collecting")
    try:
        async with connection.transaction():
            await connection.execute(_OFF, off, timeout=5)
            await connection.execute(_ON, on, timeout=5)
    finally:
        connection.terminate()
