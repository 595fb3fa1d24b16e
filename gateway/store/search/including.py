"""What comes with the matches: one statement for each level of includes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, and_, or_, select, union
from sqlalchemy.sql import ColumnElement

from gateway.access import scopes
from gateway.access.scopes import Access
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, among, given, many, prepare
from gateway.store.resources import STORED, Stored
from gateway.store.search.asked import Include, Query
from gateway.store.tables import index_reference, resource

INCLUDED_MAX = 1000
LEVELS_MAX = 4


def included(
    connection: Connection, access: Access, query: Query, matches: tuple[Stored, ...]
) -> tuple[tuple[Stored, ...], bool]:
    """Return what is included, each once, and whether there was more than the limit.

    What may not be read is left out, as if it were not there.
    """
    includes, found = query.includes, {match.key: match for match in matches}
    last = matches
    for level in range(LEVELS_MAX + 1):
        if not includes or not last:
            return tuple(found.values())[len(matches) :], False
        if level == LEVELS_MAX:
            break
        statement = _following(connection.dialect, access.shape, includes)
        keys = many(connection.dialect, [one.key for one in last])
        limit = INCLUDED_MAX + len(found) + 1
        rows = statement.run(connection, {**access.values, "keys": keys, "limit": limit}).all()
        last = tuple(one for row in rows if (one := Stored._make(row)).key not in found)
        found |= {one.key: one for one in last}
        if len(found) - len(matches) > INCLUDED_MAX:
            break
        includes = tuple(one for one in query.includes if one.iterate)
    return tuple(found.values())[len(matches) :][:INCLUDED_MAX], True


@lru_cache(maxsize=1024)
def _following(dialect: Dialect, access: scopes.Shape, includes: tuple[Include, ...]) -> Prepared:
    forwards = tuple(one for one in includes if not one.backwards)
    backwards = tuple(one for one in includes if one.backwards and not one.patient)
    records = tuple(one for one in includes if one.backwards and one.patient)
    parts: list[Select[Any]] = []
    if forwards:
        parts.append(_forwards(dialect, forwards))
    if backwards:
        parts.append(_backwards(dialect, backwards))
    if records:
        parts.append(_records(dialect, records))
    keys = parts[0] if len(parts) == 1 else union(*parts)
    statement = (
        select(*STORED)
        .where(resource.c.key.in_(keys))
        .where(~resource.c.deleted, guard(access, "s", resource))
        .order_by(resource.c.key)
        .limit(given("limit"))
    )
    return prepare(dialect, statement)


def _forwards(dialect: Dialect, includes: tuple[Include, ...]) -> Select[Any]:
    columns = index_reference.alias().c
    followed = select(columns.target_key).where(among(dialect, columns.source_key, given("keys")))
    return _typed(followed, includes, columns.parameter, columns.target_key)


def _backwards(dialect: Dialect, includes: tuple[Include, ...]) -> Select[Any]:
    columns = index_reference.alias().c
    followed = select(columns.source_key).where(among(dialect, columns.target_key, given("keys")))
    return _typed(followed, includes, columns.parameter, columns.target_key)


def _typed(
    followed: Select[Any],
    includes: tuple[Include, ...],
    parameter: ColumnElement[int],
    target_key: ColumnElement[int],
) -> Select[Any]:
    """Keep these parameters, and where a type of target is named, only those."""
    if not any(include.type for include in includes):
        return followed.where(parameter.in_({include.number for include in includes}))
    target = resource.alias()
    wanted = [
        and_(parameter == include.number, target.c.type == include.type)
        if include.type
        else parameter == include.number
        for include in includes
    ]
    return followed.join(target, target.c.key == target_key).where(or_(*wanted))


def _records(dialect: Dialect, includes: tuple[Include, ...]) -> Select[Any]:
    """Find what is in the record of a patient, whichever number of the patient it names."""
    row, person = resource.alias().c, resource.alias().c
    people = select(person.patient_key).where(
        among(dialect, person.key, given("keys")), person.type == "Patient"
    )
    types = sorted({include.source for include in includes})
    return select(row.key).where(row.patient_key.in_(people), row.type.in_(types))
