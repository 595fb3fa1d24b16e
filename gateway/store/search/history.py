"""History of a type or of the whole server, newest first (R4 http.html, history).

Every version is guarded, and so is the newest version of its resource: who may not see what it
is now does not see what it was.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Select,
    exists,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql import ColumnElement

from gateway.access import scopes
from gateway.access.scopes import Access
from gateway.errors import Forbidden, NotFound
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, given, prepare
from gateway.store.resources import STORED, Stored
from gateway.store.search.asked import Query, Rules
from gateway.store.search.cursor import read_cursor, write_cursor
from gateway.store.search.page import Page
from gateway.store.search.parameters import TYPES
from gateway.store.tables import resource, resource_version


def history_of(
    connection: Connection,
    access: Access,
    type_: str | None,
    rules: Rules,
    *,
    since: int | None = None,
    at: tuple[int, int] | None = None,
    count: int | None = None,
    cursor: str = "",
) -> Page:
    """Return one page of the versions that may be read, of one type or of all.

    `since` keeps what was filed at or after it; `at` (first instant, first no longer meant) what
    was current at any time of it; both in microseconds.

    Raises NotFound for a type that is not served, Forbidden without a scope to read it,
    InvalidSearch for a foreign cursor.
    """
    if type_ is not None and type_ not in TYPES:
        raise NotFound("this server has no such resource type")
    types = tuple(t for t in sorted(TYPES) if access.allows(t, "r") and type_ in (None, t))
    if not types:
        raise Forbidden(f"needs the scope system/{type_ or '*'}.r")
    asked = replace(_query(type_, rules, count), cursor=cursor, pairs=_pairs(since, at, count))
    position = read_cursor(asked, access.client)
    narrowed = (since is not None, at is not None, bool(position))
    statement = _versions(connection.dialect, access.shape, types, *narrowed)
    names = ("after_updated", "after_key", "after_version")
    values = {
        **access.values,
        **dict(zip(names, position, strict=False)),
        "since": since,
        "at_low": at[0] if at else None,
        "at_high": at[1] if at else None,
        "limit": asked.count + 1,
    }
    rows = [Stored._make(row) for row in statement.run(connection, values)]
    page, more = tuple(rows[: asked.count]), len(rows) > asked.count
    total = len(page) if not position and not more else None
    return Page(asked, page, total=total, next=_after(asked, access, page[-1]) if more else "")


def _after(asked: Query, access: Access, last: Stored) -> str:
    return write_cursor(asked, access.client, (last.updated_at, last.key, last.version))


def _query(type_: str | None, rules: Rules, count: int | None) -> Query:
    return Query(
        type_ or "",
        rules,
        count=min(count or rules.page_size, rules.page_size_max),
        compartment=("history", ""),  # its cursors are those of no search
    )


def _pairs(
    since: int | None, at: tuple[int, int] | None, count: int | None
) -> tuple[tuple[str, str], ...]:
    asked = (("_since", since), ("_at", at), ("_count", count))
    return tuple((name, str(value)) for name, value in asked if value is not None)


@lru_cache(maxsize=256)
def _versions(
    dialect: Dialect,
    access: scopes.Shape,
    types: tuple[str, ...],
    since: bool,
    at: bool,
    continued: bool,
) -> Prepared:
    """Take the newest of each type and of the earlier versions, then the newest of these."""
    several = [_current(access, type_) for type_ in types]
    several.append(_earlier(access, types, at))
    parts = [_part(*one, since=since, at=at, continued=continued) for one in several]
    both = union_all(*(select(part.subquery()) for part in parts)).subquery()
    order = (both.c.updated_at.desc(), both.c.key.desc(), both.c.version.desc())
    return prepare(dialect, select(both).order_by(*order).limit(given("limit")))


_Source = tuple[Select[Any], ColumnElement[int], ColumnElement[int], ColumnElement[int]]


def _current(access: scopes.Shape, type_: str) -> _Source:
    row = resource.c
    found = select(*STORED).where(row.type == type_, guard(access, "r", resource))
    return found, row.updated_at, row.key, row.version


def _earlier(access: scopes.Shape, types: tuple[str, ...], at: bool) -> _Source:
    then, now = resource_version.c, resource.c
    columns = [
        getattr(then if name in then and name not in ("key", "type", "id") else now, name)
        for name in Stored._fields
    ]
    found = (
        select(*columns)
        .join(resource, now.key == then.resource_key)
        .where(now.type.in_(types), guard(access, "r", resource))
        .where(guard(access, "r", resource_version))
    )
    if at:
        found = found.where(_followed_after(given("at_low")))
    return found, then.updated_at, then.resource_key, then.version


def _followed_after(low: ColumnElement[int]) -> ColumnElement[bool]:
    """Say the version was still the newest at this moment."""
    then, following = resource_version.c, resource_version.alias()
    newer = exists().where(
        following.c.resource_key == then.resource_key,
        following.c.version == then.version + 1,
        following.c.updated_at > low,
    )
    newest = (resource.c.version == then.version + 1) & (resource.c.updated_at > low)
    return or_(newest, newer.correlate(resource_version))


def _part(
    found: Select[Any],
    updated: ColumnElement[int],
    key: ColumnElement[int],
    version: ColumnElement[int],
    *,
    since: bool,
    at: bool,
    continued: bool,
) -> Select[Any]:
    if since:
        found = found.where(updated >= given("since"))
    if at:
        found = found.where(updated < given("at_high"))
    if continued:
        names = ("after_updated", "after_key", "after_version")
        found = found.where(
            updated <= given("after_updated"),
            tuple_(updated, key, version) < tuple_(*(given(name) for name in names)),
        )
    order = (updated.desc(), key.desc(), version.desc())
    return found.order_by(*order).limit(given("limit"))
