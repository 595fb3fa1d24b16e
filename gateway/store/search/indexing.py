"""Search values written as index rows: `extraction` finds them, here they get database keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Table, delete, select

from gateway.errors import Hold, IdentityHold, NotConformant, VersionConflict
from gateway.store.bulk import among, insert_rows
from gateway.store.search.extraction import Values, token_hashes, values
from gateway.store.tables import (
    index_date,
    index_pair,
    index_quantity,
    index_reference,
    index_string,
    index_token,
    patient,
    resource,
    token,
)

_BATCH = 500
_OWNERS = (
    index_token.c.resource_key,
    index_reference.c.source_key,
    index_date.c.resource_key,
    index_string.c.resource_key,
    index_pair.c.resource_key,
    index_quantity.c.resource_key,
)


class Entry(NamedTuple):
    """One resource to index; `content` is None for one that was deleted."""

    key: int
    type: str
    id: str
    patient_key: int | None
    content: Mapping[str, Any] | None


class _Target(NamedTuple):
    key: int
    patient_key: int | None


def write_index(connection: Connection, entries: Sequence[Entry]) -> None:
    """Insert the index rows of resources that have none.

    Raises NotConformant for a reference that leads nowhere and IdentityHold for one that leads
    to another patient.
    """
    found = [(entry, values(entry.type, entry.content)) for entry in entries if entry.content]
    known = {(e.type, e.id): _Target(e.key, e.patient_key) for e in entries}
    _insert(connection, found, _reference_rows(connection, found, known))


def index_all(connection: Connection) -> None:
    """Add the index rows that are missing, of every resource, some hundreds at a time.

    What refers to a resource that is not stored was filed when nobody searched by that
    reference: it stays, and is not found by it.
    """
    after = 0
    columns = (
        resource.c.key,
        resource.c.type,
        resource.c.id,
        resource.c.patient_key,
        resource.c.body,
    )
    query = select(*columns).where(~resource.c.deleted).order_by(resource.c.key).limit(_BATCH)
    while rows := connection.execute(query.where(resource.c.key > after)).all():
        found = [(Entry(*row[:4], None), values(row.type, orjson.loads(row.body))) for row in rows]
        places = {ref[2:] for _, value in found for ref in value.references}
        targets = _targets(connection, places)
        references = [
            (entry.key, ref[0], targets[ref[2:]].key)
            for entry, value in found
            for ref in value.references
            if ref[2:] in targets
        ]
        _insert(connection, found, references, skip=True)
        after = rows[-1].key


def _insert(
    connection: Connection,
    found: Sequence[tuple[Entry, Values]],
    references: Sequence[tuple[int, int, int]],
    *,
    skip: bool = False,
) -> None:
    literals: set[str] = set().union(*(value.literals() for _, value in found))
    hashes = {"": 0, **_token_rows(connection, literals)}
    rows: dict[Table, list[tuple[Any, ...]]] = {
        index_token: [(hashes[text], entry.key) for entry, v in found for text in v.tokens],
        index_reference: list(references),
        index_date: [(entry.key, *date) for entry, v in found for date in v.dates],
        index_string: [
            (number, text, entry.key, exact)
            for entry, v in found
            for number, text, exact in v.strings
        ],
        index_pair: [
            (hashes[c.bare], entry.key, hashes[w.bare], hashes[c.full], hashes[w.full])
            for entry, v in found
            for c, w in v.pairs
        ],
        index_quantity: [
            (entry.key, q.number, q.low, q.high, *(hashes[text] for text in (*q.unit, *q.code)))
            for entry, v in found
            for q in v.quantities
        ],
    }
    for table, listed in rows.items():
        insert_rows(connection, table, listed, skip=skip)


def clear_index(connection: Connection, keys: Sequence[int]) -> None:
    """Delete every index row of resources."""
    for column in _OWNERS:
        connection.execute(delete(column.table).where(among(connection, column, keys)))


def _token_rows(connection: Connection, literals: set[str]) -> dict[str, int]:
    """Find or make the token row of every literal; a taken hash moves on to its second place."""
    places = {text: token_hashes(text) for text in literals}
    query = select(token).where(
        among(connection, token.c.hash, {place for pair in places.values() for place in pair})
    )
    taken: dict[int, str] = {row.hash: row.literal for row in connection.execute(query)}
    hashes: dict[str, int] = {}
    for text, pair in places.items():
        free = [place for place in pair if taken.get(place, text) == text]
        if not free:
            raise VersionConflict("two search values share both their hashes")
        hashes[text] = free[0]
        taken.setdefault(free[0], text)
    insert_rows(connection, token, sorted(taken.items()), skip=True)
    return hashes


def _reference_rows(
    connection: Connection,
    found: Sequence[tuple[Entry, Values]],
    known: Mapping[tuple[str, str], _Target],
) -> list[tuple[int, int, int]]:
    places = {ref[2:] for _, value in found for ref in value.references}
    targets = {**known, **_targets(connection, places - known.keys())}
    rows: set[tuple[int, int, int]] = set()
    for entry, value in found:
        for number, path, type_, id_ in value.references:
            target = targets.get((type_, id_))
            where = f"{entry.type}.{path}"
            if target is None:
                raise NotConformant("refers to a resource that is not stored", where=where)
            _same_patient(connection, entry, target, where)
            rows.add((entry.key, number, target.key))
    return sorted(rows)


def _targets(
    connection: Connection, places: set[tuple[str, str]]
) -> dict[tuple[str, str], _Target]:
    if not places:
        return {}
    columns = (resource.c.type, resource.c.id, resource.c.key, resource.c.patient_key)
    query = (
        select(*columns)
        .where(resource.c.type.in_({type_ for type_, _ in places}))
        .where(among(connection, resource.c.id, {id_ for _, id_ in places}))
    )
    return {
        (row.type, row.id): _Target(row.key, row.patient_key) for row in connection.execute(query)
    }


def _same_patient(connection: Connection, entry: Entry, target: _Target, where: str) -> None:
    if entry.patient_key is None or target.patient_key in (None, entry.patient_key):
        return
    # A report keeps naming the patient it was written for after that one was merged.
    query = select(patient.c.merged_into).where(patient.c.key == target.patient_key)
    if connection.execute(query).scalar() is None:
        text = "refers to a resource of another patient"
        raise IdentityHold(Hold.REPORT_PATIENT, text, where=where)
