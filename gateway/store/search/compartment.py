"""Everything in the record of a patient: Patient/$everything (R4 patient-operation-everything)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import Connection, Dialect, select

from gateway.access.access import Access
from gateway.access.access import Shape as AccessShape
from gateway.errors import NotFound
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, among, given, many, prepare
from gateway.store.resources import STORED, Stored, read
from gateway.store.search.asked import PatientIds, Query, Rules
from gateway.store.search.cursor import read_cursor, write_cursor
from gateway.store.search.meeting import line
from gateway.store.search.page import Page
from gateway.store.search.parameters import SHARED, TYPES
from gateway.store.tables import index_reference, patient, resource


def everything(
    connection: Connection,
    access: Access,
    patient_id: str,
    rules: Rules,
    *,
    types: Iterable[str] = (),
    since: int | None = None,
    count: int | None = None,
    cursor: str = "",
) -> Page:
    """Return one page of all that may be read in the record, oldest filed first.

    With it comes what it refers to that belongs to no patient, whichever way that leads. `types`
    and `since` (microseconds) keep only such rows; `count` 0 or None means the page size of
    `rules`. A patient who was merged has the record of who they were merged into.

    Raises Forbidden, NotFound and Gone as `read` of the Patient does, NotFound for a type that
    is not served, InvalidSearch for a foreign cursor.
    """
    if unknown := set(types) - TYPES:
        raise NotFound("this server has no such resource type", where=min(unknown))
    access.require("Patient", "r")
    wanted = sorted(set(types))
    asked = replace(
        _query(patient_id, rules, count), cursor=cursor, pairs=_pairs(wanted, since, count)
    )
    position = read_cursor(asked, access.client)
    statement = _record(connection.dialect, access.shape, bool(wanted), since is not None)
    values = {
        **access.values,
        "patient_id": patient_id,
        "types": many(connection.dialect, wanted),
        "since": since,
        "after_key": position[0] if position else 0,
        "limit": asked.count + 1,
    }
    rows = [Stored._make(row) for row in statement.run(connection, values).all()]
    if not position and not any((row.type, row.id) == ("Patient", patient_id) for row in rows):
        read(connection, access, "Patient", patient_id)
    page, more = tuple(rows[: asked.count]), len(rows) > asked.count
    following = write_cursor(asked, access.client, (page[-1].key,)) if more else ""
    total = len(page) if not position and not more else None
    return Page(asked, page, total=total, next=following)


def _query(patient_id: str, rules: Rules, count: int | None) -> Query:
    return Query(
        "Patient",
        rules,
        conditions=(PatientIds((patient_id,)),),
        count=min(count or rules.page_size, rules.page_size_max),
        compartment=("everything", patient_id),  # its cursors are those of no search
    )


def _pairs(types: list[str], since: int | None, count: int | None) -> tuple[tuple[str, str], ...]:
    asked = (("_type", ",".join(types)), ("_since", str(since or "")), ("_count", str(count or "")))
    return tuple((name, value) for name, value in asked if value)


@lru_cache(maxsize=256)
def _record(dialect: Dialect, access: AccessShape, typed: bool, dated: bool) -> Prepared:
    mine, other = resource.alias(), resource.alias()
    record = line(select(patient.c.key).where(patient.c.id == given("patient_id")))
    reached = (
        select(mine.c.key)
        .where(mine.c.patient_key.in_(select(record.c[0])))
        .where(~mine.c.deleted, guard(access, "r", mine))
        .cte("reached", recursive=True)
    )
    # Only over what may be read: what a hidden row refers to says something about it.
    shared = (
        select(other.c.key)
        .join(index_reference, index_reference.c.target_key == other.c.key)
        .join(reached, reached.c.key == index_reference.c.source_key)
        .where(other.c.type.in_(sorted(SHARED)), ~other.c.deleted, guard(access, "r", other))
    )
    keys = select(reached.union(shared).c.key)
    conditions = [resource.c.key.in_(keys), resource.c.key > given("after_key")]
    if typed:
        conditions.append(among(dialect, resource.c.type, given("types")))
    if dated:
        conditions.append(resource.c.updated_at >= given("since"))
    statement = select(*STORED).where(*conditions)
    # An expression has no index: else PostgreSQL walks all resources in order until enough of
    # them are of the record, instead of fetching the record and sorting it.
    return prepare(dialect, statement.order_by(resource.c.key + 0).limit(given("limit")))
