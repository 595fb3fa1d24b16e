"""The record of one patient, and resources by their references, under the caller's Access."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Connection, Dialect, select, union_all

from gateway.access.scopes import Access, Shape
from gateway.store import patients
from gateway.store.guard import guard
from gateway.store.parameters import SHARED
from gateway.store.prepared import Prepared, among, given, many, prepare
from gateway.store.resources import Stored, read
from gateway.store.tables import index_reference, patient, resource

_COLUMNS = tuple(resource.c[name] for name in Stored._fields)


def everything(
    connection: Connection,
    access: Access,
    patient_id: str,
    types: tuple[str, ...],
    since: int,
    count: int,
    after: int = 0,
) -> tuple[list[Stored], int]:
    """Return one page of a patient's record, in the order of filing, and where it ended, else 0.

    With it comes what the record names and belongs to no patient: organisations, practitioners.
    `types` empty means all. Raises as `read` when the Patient itself may not be read.
    """
    read(connection, access, "Patient", patient_id)
    key = connection.execute(select(patient.c.key).where(patient.c.id == patient_id)).scalar_one()
    keys = {key, patients.survivor(connection, key)}
    statement = _record(connection.dialect, access.shape, bool(types))
    values = {
        **access.values, "keys": many(connection.dialect, keys), "since": since, "after": after,
        "types": many(connection.dialect, types), "limit": count + 1,
    }  # fmt: skip
    rows = [Stored._make(row) for row in statement.run(connection, values)]
    return rows[:count], rows[count - 1].key if len(rows) > count else 0


@lru_cache(maxsize=256)
def _record(dialect: Dialect, access: Shape, typed: bool) -> Prepared:
    own, target = resource.alias("own"), resource.alias("target")
    mine = select(own.c.key).where(among(dialect, own.c.patient_key, given("keys")))
    named = (
        select(target.c.key)
        .join(index_reference, index_reference.c.target_key == target.c.key)
        .join(own, own.c.key == index_reference.c.source_key)
        .where(among(dialect, own.c.patient_key, given("keys")))
        .where(target.c.type.in_(sorted(SHARED)), ~own.c.deleted, guard(access, "s", own))
    )
    statement = (
        select(*_COLUMNS)
        .where(resource.c.key.in_(union_all(mine, named)))
        .where(~resource.c.deleted, guard(access, "s", resource))
        .where(resource.c.updated_at >= given("since"), resource.c.key > given("after"))
    )
    if typed:
        statement = statement.where(among(dialect, resource.c.type, given("types")))
    return prepare(dialect, statement.order_by(resource.c.key).limit(given("limit")))


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
