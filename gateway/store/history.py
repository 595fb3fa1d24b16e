"""The history of a type, or of everything: versions, newest first (R4 http.html, history)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Select, select, tuple_

from gateway.access.scopes import Access, Shape
from gateway.errors import NotFound
from gateway.store.guard import guard
from gateway.store.parameters import TYPES
from gateway.store.prepared import Prepared, given, prepare
from gateway.store.resources import Stored
from gateway.store.tables import resource, resource_version


def history_of(
    connection: Connection,
    access: Access,
    type_: str,
    since: int,
    count: int,
    after: Sequence[int] = (),
) -> tuple[list[Stored], tuple[int, ...]]:
    """Return one page of versions filed at or after `since`, and the place where it ended.

    `type_` empty means every type that the caller may read. The place is empty on the last page.
    Raises Forbidden when no scope covers the type, NotFound for a type that is not served.
    """
    if type_:
        if type_ not in TYPES:
            raise NotFound("this server has no such resource type")
        access.require(type_, "r")
    values = {**access.values, "type": type_, "since": since, "limit": count + 1}
    if after:
        values |= {"updated": after[0], "key": after[1], "number": after[2]}
    shape = (connection.dialect, access.shape, bool(type_), bool(after))
    newest, earlier = (
        [Stored._make(row) for row in statement.run(connection, values)]
        for statement in (_newest(*shape), _earlier(*shape))
    )
    merged = heapq.merge(newest, earlier, key=_place, reverse=True)
    rows = [row for row, _ in zip(merged, range(count + 1), strict=False)]
    return rows[:count], _place(rows[count - 1]) if len(rows) > count else ()


def _place(row: Stored) -> tuple[int, int, int]:
    return row.updated_at, row.key, row.version


@lru_cache(maxsize=256)
def _newest(dialect: Dialect, access: Shape, typed: bool, continued: bool) -> Prepared:
    columns = [resource.c[name] for name in Stored._fields]
    return prepare(dialect, _walk(select(*columns), resource, access, typed, continued))


@lru_cache(maxsize=256)
def _earlier(dialect: Dialect, access: Shape, typed: bool, continued: bool) -> Prepared:
    own = ("key", "type", "id")
    columns = [
        resource.c[name] if name in own else resource_version.c[name] for name in Stored._fields
    ]
    joined = select(*columns).join(
        resource_version, resource_version.c.resource_key == resource.c.key
    )
    # The resource as it is now must be readable too.
    guarded = joined.where(guard(access, "r", resource_version))
    return prepare(dialect, _walk(guarded, resource_version, access, typed, continued))


def _walk(
    statement: Select[tuple[object, ...]],
    row: object,
    access: Shape,
    typed: bool,
    continued: bool,
) -> Select[tuple[object, ...]]:
    columns = resource_version.c if row is resource_version else resource.c
    place = (columns.updated_at, resource.c.key, columns.version)
    statement = statement.where(guard(access, "r", resource), columns.updated_at >= given("since"))
    if typed:
        statement = statement.where(resource.c.type == given("type"))
    if continued:
        statement = statement.where(
            tuple_(*place) < tuple_(given("updated"), given("key"), given("number"))
        )
    return statement.order_by(*(one.desc() for one in place)).limit(given("limit"))
