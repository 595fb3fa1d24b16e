"""Merges of patients: one link row, and keys that point to the survivor; never rewritten bytes.

Everything that points to the subsumed patient is re-pointed and noted, so that the undo takes
back just that (safety.md 2 and 5). Identifiers stay with their patient: they lead on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, insert, literal, select, update

from gateway.store.tables import (
    access_grant,
    identity,
    index_reference,
    part,
    patient,
    patient_merge,
    patient_merge_moved,
    placed_order,
    relationship,
    report,
    resource,
    resource_version,
    variant_occurrence,
)

_moved = patient_merge_moved.c
# The patient's own resource stays its own: it says whom it was merged into.
_TABLES = (resource, report, variant_occurrence, placed_order, relationship, access_grant)


class Kept(NamedTuple):
    """A resource that is stored, as far as a new version of it needs it."""

    type: str
    id: str
    record_class: str
    file_digest: str | None


@dataclass(frozen=True, slots=True)
class Undone:
    """An undone merge: what came back, and the reports that a person must look at.

    `review` were filed while the merge stood, and stay with the survivor.
    """

    returned: tuple[Kept, ...]
    review: tuple[Kept, ...]


class Link(NamedTuple):
    """One merge: who was merged into whom by which message, by FHIR id, and whether it stands."""

    key: int
    merged_at: int
    message_key: int
    part_key: int
    subsumed_key: int
    subsumed: str
    survivor: str
    undone: bool


_ends, _stays = patient.alias(), patient.alias()
_LINK = (
    select(
        patient_merge.c.key, patient_merge.c.merged_at, part.c.message_key,
        patient_merge.c.part_key, patient_merge.c.subsumed_key, _ends.c.id, _stays.c.id,
        patient_merge.c.undone_at.is_not(None),
    )
    .join(part, part.c.key == patient_merge.c.part_key)
    .join(_ends, _ends.c.key == patient_merge.c.subsumed_key)
    .join(_stays, _stays.c.key == patient_merge.c.survivor_key)
)  # fmt: skip


def lock_link(connection: Connection, merge_key: int) -> Link | None:
    """Lock one merge until the transaction ends and return it, or None."""
    query = _LINK.where(patient_merge.c.key == merge_key).with_for_update(of=patient_merge)
    row = connection.execute(query).first()
    return Link(*row) if row else None


def links(connection: Connection, before: int, limit: int) -> list[Link]:
    """Return merges with smaller keys than `before`, newest first; 0 begins with the newest."""
    query = _LINK.order_by(patient_merge.c.key.desc()).limit(limit)
    if before:
        query = query.where(patient_merge.c.key < before)
    return [Link(*row) for row in connection.execute(query)]


def lock(connection: Connection, keys: Iterable[int]) -> None:
    """Lock patients in the order of their keys until the transaction ends."""
    query = select(patient.c.key).where(patient.c.key.in_(sorted(keys))).order_by(patient.c.key)
    connection.execute(query.with_for_update())


def merge(
    connection: Connection, subsumed_key: int, survivor_key: int, part_key: int, now: int
) -> None:
    """Merge one patient into another; both must be locked."""
    link = patient_merge.insert().values(
        subsumed_key=subsumed_key, survivor_key=survivor_key, part_key=part_key, merged_at=now
    )
    merge_key = connection.execute(link.returning(patient_merge.c.key)).scalar_one()
    for table in _TABLES:
        mine = select(literal(merge_key), literal(table.name), table.c.key).where(
            table.c.patient_key == subsumed_key
        )
        if table is resource:
            mine = mine.where(resource.c.type != "Patient")
        names = ["merge_key", "kind", "row_key"]
        connection.execute(insert(patient_merge_moved).from_select(names, mine))
        _point(connection, table, _rows(merge_key, table), survivor_key)
    connection.execute(
        update(patient).where(patient.c.key == subsumed_key).values(merged_into=survivor_key)
    )


def undo(connection: Connection, subsumed_key: int, top: int, now: int) -> Undone | None:
    """Undo the merge of a patient, whose survivor is `top` now; None when there is none.

    What a report or order got while the merge stood goes back with it.
    """
    link = patient_merge.c
    query = select(link.key, link.merged_at).where(
        link.subsumed_key == subsumed_key, link.undone_at.is_(None)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    _note_later(connection, row.key, top)
    kept = select(*(resource.c[name] for name in Kept._fields)).where(resource.c.patient_key == top)
    returned = kept.where(resource.c.key.in_(_rows(row.key, resource)))
    review = (
        kept.join(identity, (identity.c.type == resource.c.type) & (identity.c.id == resource.c.id))
        .join(report, report.c.key == identity.c.owner)
        .where(resource.c.type == "DiagnosticReport", report.c.patient_key == top)
        .where(report.c.published_at >= row.merged_at)
        .where(report.c.key.not_in(_rows(row.key, report)))
    )
    found = Undone(_kept(connection, returned), _kept(connection, review))
    for table in _TABLES:
        _point(connection, table, _rows(row.key, table), subsumed_key, top)
    connection.execute(
        update(patient).where(patient.c.key == subsumed_key).values(merged_into=None)
    )
    connection.execute(update(patient_merge).where(link.key == row.key).values(undone_at=now))
    return found


def _kept(connection: Connection, query: Select[Any]) -> tuple[Kept, ...]:
    return tuple(Kept(*row) for row in connection.execute(query.order_by(resource.c.key)))


def _rows(merge_key: int, table: Table) -> Select[tuple[int]]:
    return select(_moved.row_key).where(_moved.merge_key == merge_key, _moved.kind == table.name)


def _point(
    connection: Connection, table: Table, rows: Select[tuple[int]], to: int, of: int | None = None
) -> None:
    mine = table.c.patient_key == of if of is not None else table.c.patient_key != to
    connection.execute(update(table).where(table.c.key.in_(rows), mine).values(patient_key=to))
    if table is resource:
        versions = resource_version.c
        query = update(resource_version).where(versions.resource_key.in_(rows))
        if of is not None:
            query = query.where(versions.patient_key == of)
        connection.execute(query.values(patient_key=to))


def _note_later(connection: Connection, merge_key: int, top: int) -> None:
    """Note as moved also what the moved reports and orders got since the merge."""
    reports, orders = _rows(merge_key, report), _rows(merge_key, placed_order)
    of_orders = select(-_moved.row_key).where(
        _moved.merge_key == merge_key, _moved.kind == placed_order.name
    )
    theirs = (
        select(resource.c.key)
        .join(identity, (identity.c.type == resource.c.type) & (identity.c.id == resource.c.id))
        .where(identity.c.owner.in_(reports) | identity.c.owner.in_(of_orders))
    )
    requests = (
        select(resource.c.key)
        .join(placed_order, placed_order.c.request_id == resource.c.id)
        .where(resource.c.type == "ServiceRequest", placed_order.c.key.in_(orders))
    )
    occurrences = select(variant_occurrence.c.key).where(
        variant_occurrence.c.report_key.in_(reports)
    )
    _note(connection, merge_key, resource, theirs.where(resource.c.patient_key == top))
    _note(connection, merge_key, resource, requests.where(resource.c.patient_key == top))
    _note(connection, merge_key, variant_occurrence, occurrences)
    related = select(relationship.c.key).where(
        relationship.c.patient_key == top,
        relationship.c.owner.in_(reports) | relationship.c.owner.in_(of_orders),
    )
    granted = select(access_grant.c.key).where(access_grant.c.report_key.in_(reports))
    _note(connection, merge_key, relationship, related)
    _note(connection, merge_key, access_grant, granted)
    said_of = (
        select(resource.c.key)
        .join(index_reference, index_reference.c.source_key == resource.c.key)
        .where(resource.c.type == "Provenance", resource.c.patient_key == top)
        .where(index_reference.c.target_key.in_(_rows(merge_key, resource)))
    )
    _note(connection, merge_key, resource, said_of)


def _note(connection: Connection, merge_key: int, table: Table, rows: Select[tuple[int]]) -> None:
    known = _rows(merge_key, table)
    found = set(connection.execute(rows).scalars()) - set(connection.execute(known).scalars())
    if found:
        values = [{"merge_key": merge_key, "kind": table.name, "row_key": key} for key in found]
        connection.execute(insert(patient_merge_moved), values)
