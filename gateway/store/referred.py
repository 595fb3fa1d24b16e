"""Resources by their references, under the caller's Access."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Connection, Dialect, select

from gateway.access.access import Access, Shape
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, among, given, many, prepare
from gateway.store.resources import Stored
from gateway.store.tables import resource

_COLUMNS = tuple(resource.c[name] for name in Stored._fields)


def read_many(
    connection: Connection, access: Access, places: Iterable[tuple[str, str]]
) -> list[Stored]:
    """Return the newest versions of (type, id) that are there and may be read, in any order."""
    by_type: dict[str, set[str]] = defaultdict(set)
    for type_, id_ in places:
        by_type[type_].add(id_)
    statement = _several(connection.dialect, access.shape)
    found: list[Stored] = []
    for type_, ids in by_type.items():
        values = {**access.values, "type": type_, "ids": many(connection.dialect, ids)}
        found += [Stored._make(row) for row in statement.run(connection, values)]
    return found


@lru_cache(maxsize=256)
def _several(dialect: Dialect, access: Shape) -> Prepared:
    statement = (
        select(*_COLUMNS)
        .where(resource.c.type == given("type"), among(dialect, resource.c.id, given("ids")))
        .where(~resource.c.deleted, guard(access, "r", resource))
    )
    return prepare(dialect, statement)
