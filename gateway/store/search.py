"""Search: a `Query` and an `Access` in, one page of stored resources out.

The Access is part of the SQL of every statement: matches, chained conditions, includes, totals.
The conditions become SQL in `conditions`; pages follow keys, so that what exists when the first
page is asked is found once, whatever is filed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Select,
    and_,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import ColumnElement

from gateway.access import scopes
from gateway.access.scopes import Access
from gateway.errors import TooCostly
from gateway.store.conditions import Shape, named, plan, shape
from gateway.store.cursor import read_cursor, write_cursor
from gateway.store.dates import FIRST, LAST
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, among, given, many, prepare
from gateway.store.query import Include, PatientIdentifiers, Query, Sort
from gateway.store.resources import Stored
from gateway.store.tables import index_date, index_reference, resource

_INCLUDED_MAX = 5000
_COLUMNS = tuple(resource.c[name] for name in Stored._fields)


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `total` is None when it was not asked for and is not known for free."""

    query: Query
    matches: tuple[Stored, ...] = ()
    included: tuple[Stored, ...] = ()
    total: int | None = None
    next: str = ""


def search(connection: Connection, access: Access, query: Query) -> Page:
    """Return one page of what the caller may see.

    Raises Forbidden when the scopes do not cover the type, or the Patient that a chained
    condition asks about; InvalidSearch for a foreign cursor; TooCostly for too many includes.
    """
    access.require(query.type, "s")
    if any(isinstance(condition, PatientIdentifiers) for condition in query.conditions):
        access.require("Patient", "s")
    position = read_cursor(query, access.client)
    if query.count_only:
        return Page(query, total=_total(connection, access, query))
    shapes = tuple(shape(condition) for condition in query.conditions)
    statement = _paging(
        connection.dialect, access.shape, query.type, shapes, query.sort, bool(position)
    )
    values = {**named(query.conditions), **access.values, "limit": query.count + 1}
    if position:
        values |= {"after_value": position[0], "after_key": position[1]}
    rows = statement.run(connection, values).all()
    matches = tuple(Stored._make(row[:-1]) for row in rows[: query.count])
    following = ""
    if len(rows) > query.count:
        last = rows[query.count - 1]
        following = write_cursor(query, access.client, (last[-1], last[0]))
    total = _total(connection, access, query) if query.total else None
    if total is None and not position and not following:
        total = len(matches)
    return Page(query, matches, _included(connection, access, query, matches), total, following)


def _total(connection: Connection, access: Access, query: Query) -> int:
    shapes = tuple(shape(condition) for condition in query.conditions)
    statement = _counting(connection.dialect, access.shape, query.type, shapes)
    values = {**named(query.conditions), **access.values}
    return int(statement.run(connection, values).scalar_one())


@lru_cache(maxsize=1024)
def _counting(
    dialect: Dialect, access: scopes.Shape, type_: str, shapes: tuple[Shape, ...]
) -> Prepared:
    planned = plan(access, type_, shapes)
    counted = select(func.count()).select_from(planned.source).where(*planned.where)
    return prepare(dialect, counted)


@lru_cache(maxsize=1024)
def _paging(
    dialect: Dialect,
    access: scopes.Shape,
    type_: str,
    shapes: tuple[Shape, ...],
    sort: Sort,
    continued: bool,
) -> Prepared:
    """Select the columns of Stored and the value sorted by, in order, from a position."""
    planned = plan(access, type_, shapes)
    source, key = planned.source, planned.key
    if sort.number is None:
        value: ColumnElement[Any] = key
    elif sort.number == 0:
        value = planned.updated
    else:
        on = and_(index_date.c.resource_key == key, index_date.c.parameter == sort.number)
        source = source.outerjoin(index_date, on)
        value = func.coalesce(index_date.c.low, FIRST if sort.descending else LAST)
    statement = select(*_COLUMNS, value).select_from(source).where(*planned.where)
    if continued:
        statement = statement.where(_after(value, key, sort))
    order = (key,) if value is key else (value, key)
    ordered = statement.order_by(*(c.desc() if sort.descending else c for c in order))
    return prepare(dialect, ordered.limit(given("limit")))


def _after(value: ColumnElement[Any], key: ColumnElement[Any], sort: Sort) -> ColumnElement[bool]:
    if value is key:
        return key < given("after_key")
    here, there = tuple_(value, key), tuple_(given("after_value"), given("after_key"))
    return here < there if sort.descending else here > there


def _included(
    connection: Connection, access: Access, query: Query, matches: tuple[Stored, ...]
) -> tuple[Stored, ...]:
    if not query.includes or not matches:
        return ()
    keys = [match.key for match in matches]
    statement = _following(connection.dialect, access.shape, query.includes)
    values = {**access.values, "keys": many(connection.dialect, keys)}
    found = statement.run(connection, values).all()
    if len(found) > _INCLUDED_MAX:
        raise TooCostly("too many included resources: ask for fewer with _count")
    own = set(keys)
    return tuple(Stored._make(row) for row in found if row[0] not in own)


@lru_cache(maxsize=1024)
def _following(dialect: Dialect, access: scopes.Shape, includes: tuple[Include, ...]) -> Prepared:
    statement = (
        select(*_COLUMNS)
        .where(resource.c.key.in_(_followed(dialect, includes)))
        .where(~resource.c.deleted, guard(access, "s", resource))
        .order_by(resource.c.key)
        .limit(_INCLUDED_MAX + 1)
    )
    return prepare(dialect, statement)


def _followed(dialect: Dialect, includes: tuple[Include, ...]) -> Select[tuple[int]]:
    columns = index_reference.c
    followed = select(columns.target_key).where(among(dialect, columns.source_key, given("keys")))
    if not any(include.type for include in includes):
        return followed.where(columns.parameter.in_({include.number for include in includes}))
    target = resource.alias("target")
    wanted = [
        and_(columns.parameter == include.number, target.c.type == include.type)
        if include.type
        else columns.parameter == include.number
        for include in includes
    ]
    return followed.join(target, target.c.key == columns.target_key).where(or_(*wanted))
