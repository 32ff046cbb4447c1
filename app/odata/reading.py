"""Rows read as OData asks for them: a page of a set with what is expanded, one entity, a count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.access.tokens import Reader
from app.analytics.views import VIEWS, Link, View
from app.database.refusals import is_unfit
from app.odata.errors import ODataError, bad, not_found
from app.odata.options import Options
from app.odata.paging import after, behind, ordered, token_of

#: Rows that an expanded relation shows of each entity; the rest is behind a link.
EXPANDED = 50
#: Entities of a page with something expanded.
EXPANDING = 100
#: The first span of time in which a page is looked for.
SPAN = timedelta(hours=1)

_NEVER = datetime.min.replace(tzinfo=UTC)

Entity = dict[str, Any]
Parameters = Sequence[tuple[str, str]]


class Reading:
    """Reads for one request. `root` is the service's URL, `/` at its end."""

    def __init__(self, engine: AsyncEngine, reader: Reader, root: str) -> None:
        self._engine, self._reader, self._root = engine, reader, root

    async def page(
        self,
        view: View,
        options: Options,
        parameters: Parameters,
        *,
        page: int,
        within: Any = None,
        path: str = "",
    ) -> Entity:
        """A page of a set. `within` is a further condition, `path` the set's where it isn't its name."""
        size = min(page, EXPANDING) if options.expand else page
        wanted = size if options.top is None else min(options.top, size)
        query = self._query(view, options, within)
        body: Entity = {"@odata.context": self._context(view, options)}
        async with self._connection() as connection:
            if options.count:
                body["@odata.count"] = await self._total(connection, view, options, within)
            rows = await self._rows(connection, view, options, query, wanted + 1) if wanted else []
            entities = await self._entities(connection, view, options, rows[:wanted])
        body["value"] = entities
        if len(rows) > wanted and (options.top is None or options.top > wanted):
            token = token_of(options.order, _tail(rows[wanted - 1], options))
            left = None if options.top is None else options.top - wanted
            body["@odata.nextLink"] = self._next(path or view.name, parameters, token, left)
        return body

    async def count(self, view: View, options: Options, within: Any = None) -> int:
        """How many rows a set has."""
        async with self._connection() as connection:
            return await self._total(connection, view, options, within)

    async def entity(self, view: View, key: tuple[Any, ...], options: Options) -> Entity:
        """One entity by its key. Raises ODataError where there is none, or it isn't the reader's."""
        same = and_(*(view.table.c[name] == value for name, value in zip(view.key, key, strict=True)))
        async with self._connection() as connection:
            row = (await connection.execute(self._query(view, options, same))).one_or_none()
            if row is None:
                raise not_found(f"There is no such entity in {view.name}")
            [entity] = await self._entities(connection, view, options, [row])
        return {"@odata.context": f"{self._context(view, options)}/$entity", **entity}

    def _connection(self) -> _Connection:
        return _Connection(self._engine)

    def _query(self, view: View, options: Options, within: Any = None) -> Select[Any]:
        """Selected columns, then those that order and link."""
        shown = [view.table.c[name] for name in options.select]
        ordering = [view.table.c[name].label(f"order_{name}") for name, _ in options.order]
        linking = [view.table.c[view.links[name].column].label(f"link_{name}") for name in options.expand]
        query = self._allowed(select(*shown, *ordering, *linking), view, options, within)
        query = ordered(query, view, options.order)
        if options.token is not None:
            return after(query, view, options.order, options.token)
        return query.offset(options.skip) if options.skip else query

    async def _rows(
        self, connection: AsyncConnection, view: View, options: Options, query: Select[Any], wanted: int
    ) -> Sequence[Any]:
        """Up to `wanted` rows.

        Where no index has their order, those of all the time that is asked for would be sorted: they are
        looked for in a short span of it, then in longer ones.
        """
        if options.since is None or view.at is None:
            return list(await connection.execute(query.limit(wanted)))
        at, since = view.table.c[view.at], options.since
        if options.token is not None:
            since = max(since, behind(view, options.order, options.token))
        query = query.where(at >= since).limit(wanted)
        first, last = await self._stored(connection, view, at)
        begin, span = max(since, first), SPAN
        while span < last - begin:
            rows = list(await connection.execute(query.where(at < begin + span)))
            if len(rows) == wanted:
                return rows
            span *= 4
        return list(await connection.execute(query))

    async def _stored(
        self, connection: AsyncConnection, view: View, at: ColumnElement[datetime]
    ) -> tuple[datetime, datetime]:
        """About when the first and the last row were: those by key."""
        key = view.table.c[view.key[0]]
        ends = [select(at).order_by(order).limit(1).scalar_subquery() for order in (key, key.desc())]
        found = (await connection.execute(select(*ends))).one()
        return found[0] or _NEVER, found[1] or _NEVER

    def _allowed(self, query: Select[Any], view: View, options: Options, within: Any) -> Select[Any]:
        if self._reader.endpoints is not None:
            query = query.where(view.table.c.endpoint.in_(self._reader.endpoints))
        if options.where is not None:
            query = query.where(options.where)
        return query if within is None else query.where(within)

    async def _total(self, connection: AsyncConnection, view: View, options: Options, within: Any) -> int:
        query = self._allowed(select(func.count()).select_from(view.table), view, options, within)
        return int((await connection.execute(query)).scalar_one())

    async def _entities(
        self, connection: AsyncConnection, view: View, options: Options, rows: Sequence[Any]
    ) -> list[Entity]:
        entities = [
            {name: _plain(value) for name, value in zip(options.select, row, strict=False)} for row in rows
        ]
        for name in options.expand:
            link = view.links[name]
            parents = [getattr(row, f"link_{name}") for row in rows]
            related = await self._related(connection, link, parents)
            for entity, parent in zip(entities, parents, strict=True):
                self._expand(entity, name, link, parent, related.get(parent, []))
        return entities

    async def _related(
        self, connection: AsyncConnection, link: Link, parents: Sequence[Any]
    ) -> dict[Any, list[Entity]]:
        """Entities by what they are linked by, of each at most one more than is shown."""
        wanted = sorted({parent for parent in parents if parent is not None})
        target = VIEWS[link.view]
        if not wanted:
            return {}
        column = target.table.c[link.column]
        place = func.row_number().over(
            partition_by=column, order_by=[target.table.c[key] for key in target.key]
        )
        inner = select(*[target.table.c[key] for key in target.key], place.label("place")).where(
            column.in_(wanted)
        )
        if self._reader.endpoints is not None:
            inner = inner.where(target.table.c.endpoint.in_(self._reader.endpoints))
        numbered = inner.subquery()
        query = (
            select(target.table)
            .join(numbered, and_(*(numbered.c[key] == target.table.c[key] for key in target.key)))
            .where(column.in_(wanted), numbered.c.place <= EXPANDED + 1)
            .order_by(*(target.table.c[key] for key in target.key))
        )
        found: dict[Any, list[Entity]] = {}
        for row in (await connection.execute(query)).mappings():
            found.setdefault(row[link.column], []).append(
                {name: _plain(value) for name, value in row.items()}
            )
        return found

    def _expand(self, entity: Entity, name: str, link: Link, parent: Any, related: list[Entity]) -> None:
        if not link.many:
            entity[name] = related[0] if related else None
            return
        entity[name] = related[:EXPANDED]
        if len(related) > EXPANDED:
            key = VIEWS[link.view].key[0]
            condition = f"{link.column} eq {parent} and {key} gt {related[EXPANDED - 1][key]}"
            entity[f"{name}@odata.nextLink"] = f"{self._root}{link.view}?$filter={quote(condition)}"

    def _context(self, view: View, options: Options) -> str:
        chosen = [*options.select] if options.selected else []
        chosen += [f"{name}()" for name in options.expand]
        return f"{self._root}$metadata#{view.name}{'(' + ','.join(chosen) + ')' if chosen else ''}"

    def _next(self, path: str, parameters: Parameters, token: str, left: int | None) -> str:
        dropped = {"skiptoken", "skip", "count"} | ({"top"} if left is not None else set())
        kept = [pair for pair in parameters if pair[0].lower().removeprefix("$") not in dropped]
        if left is not None:
            kept.append(("$top", str(left)))
        return f"{self._root}{path}?{urlencode([*kept, ('$skiptoken', token)], safe='$', quote_via=quote)}"


class _Connection:
    """A connection whose errors are the client's where they are: values that don't fit, a query too long."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._entering = engine.connect()

    async def __aenter__(self) -> AsyncConnection:
        return await self._entering.__aenter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._entering.__aexit__(kind, error, trace)
        if not isinstance(error, DBAPIError):
            return
        state = str(getattr(error.orig, "sqlstate", "") or "")
        if state == "57014":
            raise ODataError(
                503, "TooLong", "The query takes too long: ask for less, or filter by time"
            ) from None
        if is_unfit(error):
            raise bad("A value does not fit what it is compared with") from None


def _tail(row: Any, options: Options) -> list[Any]:
    return [_plain(getattr(row, f"order_{name}")) for name, _ in options.order]


def _plain(value: Any) -> Any:
    """A value as JSON has it; times end in Z."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
