"""Search: a `Query` and an `Access` in, one page of stored resources out.

The Access is part of the SQL of every statement: matches, conditions on other resources,
includes, totals. The conditions become SQL in `conditions`; pages follow keys, so that what
exists when the first page is asked is found once, whatever is filed meanwhile.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Connection, Dialect, func, select
from sqlalchemy.sql import ColumnElement

from gateway.access import scopes
from gateway.access.scopes import Access
from gateway.store.prepared import Prepared, given, prepare
from gateway.store.resources import STORED, Stored
from gateway.store.search.asked import Query, Shape, Sort, other_types
from gateway.store.search.conditions import named, plan
from gateway.store.search.cursor import read_cursor, write_cursor
from gateway.store.search.including import included
from gateway.store.search.order import after, ordered, position_names
from gateway.store.search.page import Page
from gateway.store.tables import resource

__all__ = ["Page", "search"]

EXACT_MAX = 10_000
"""An estimated total is exact up to here."""


def search(connection: Connection, access: Access, query: Query) -> Page:
    """Return one page of what the caller may see.

    Raises Forbidden when the scopes do not cover the type, or another type that a condition
    asks about; InvalidSearch for a foreign cursor.
    """
    access.require(query.type, "s")
    _require_others(access, query)
    position = read_cursor(query, access.client)
    shapes = tuple(condition.shape() for condition in query.conditions)
    values = {**named(connection.dialect, query.conditions), **access.values}
    if query.count_only:
        return _with_total(Page(query), connection, access, shapes, values)
    statement = _paging(
        connection.dialect, access.shape, query.type, shapes, query.sort, bool(position)
    )
    names = position_names(query.sort)
    asked = {**values, "limit": query.count + 1, **dict(zip(names, position, strict=False))}
    rows = statement.run(connection, asked).all()
    width = len(Stored._fields)
    matches = tuple(Stored._make(row[:width]) for row in rows[: query.count])
    following = ""
    if len(rows) > query.count:
        last = rows[query.count - 1]
        following = write_cursor(query, access.client, (*last[width:], last[0]))
    found, capped = included(connection, access, query, matches)
    total = len(matches) if not position and not following else None
    page = Page(query, matches, found, total, following, capped=capped)
    if total is None and query.total != "none":
        page = _with_total(page, connection, access, shapes, values)
    return page


def _require_others(access: Access, query: Query) -> None:
    for condition in query.conditions:
        for types in other_types(condition):
            if not any(access.allows(type_, "s") for type_ in types):
                access.require(types[0], "s")


def _with_total(
    page: Page,
    connection: Connection,
    access: Access,
    shapes: tuple[Shape, ...],
    values: dict[str, object],
) -> Page:
    """Count: all of it, or for an estimate the newest and from these the rest."""
    query = page.query
    bounded = query.total == "estimate"
    statement = _counting(connection.dialect, access.shape, query.type, shapes, bounded)
    row = statement.run(connection, {**values, "limit": EXACT_MAX + 1}).one()
    if not bounded or row.counted <= EXACT_MAX:
        return page.counted(row.counted)
    share = (row.newest - row.oldest + 1) / max(1, row.newest - row.reached + 1)
    return page.counted(round(row.counted * share), estimated=True)


@lru_cache(maxsize=1024)
def _counting(
    dialect: Dialect,
    access: scopes.Shape,
    type_: str,
    shapes: tuple[Shape, ...],
    bounded: bool,
) -> Prepared:
    planned = plan(dialect, access, type_, shapes)
    if not bounded:
        counted = func.count().label("counted")
        return prepare(dialect, select(counted).select_from(planned.source).where(*planned.where))
    key = planned.key.label("place")
    some = select(key).select_from(planned.source).where(*planned.where)
    newest = some.order_by(key.desc()).limit(given("limit")).subquery()
    ends = [
        select(end(resource.c.key)).where(resource.c.type == type_).scalar_subquery().label(name)
        for end, name in ((func.min, "oldest"), (func.max, "newest"))
    ]
    place: ColumnElement[int] = newest.c.place
    return prepare(
        dialect,
        select(func.count().label("counted"), func.min(place).label("reached"), *ends).select_from(
            newest
        ),
    )


@lru_cache(maxsize=1024)
def _paging(
    dialect: Dialect,
    access: scopes.Shape,
    type_: str,
    shapes: tuple[Shape, ...],
    sort: tuple[Sort, ...],
    continued: bool,
) -> Prepared:
    """Select the columns of Stored and the values sorted by, in order, from a position."""
    planned = plan(dialect, access, type_, shapes)
    keys = ordered(planned, sort)
    named = [key.value.label(f"sort_{place}") for place, key in enumerate(keys[:-1])]
    statement = select(*STORED, *named).select_from(planned.source).where(*planned.where)
    if continued:
        statement = statement.where(after(keys, position_names(sort)))
    shown = [*named, planned.key]
    order = [one.desc() if key.descending else one for one, key in zip(shown, keys, strict=True)]
    return prepare(dialect, statement.order_by(*order).limit(given("limit")))
