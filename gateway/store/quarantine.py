"""What belongs to one report, hidden and shown again, and given up when it is refiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from gateway.store.bulk import among
from gateway.store.tables import (
    edition,
    identity,
    index_reference,
    message,
    part,
    patient,
    placed_order,
    report,
    report_refile,
    resource,
    resource_version,
    variant_occurrence,
)


class Owned(NamedTuple):
    """A stored resource that belongs to one report alone."""

    key: int
    type: str
    id: str
    record_class: str


class Filed(NamedTuple):
    """The row of a report, locked."""

    key: int
    laboratory: str
    number: str
    patient_key: int | None
    status: str
    quarantined: bool


def lock_report(connection: Connection, id_: str) -> Filed | None:
    """Lock and return the report whose DiagnosticReport has this id, or None."""
    columns = [report.c[name] for name in Filed._fields]
    query = (
        select(*columns)
        .join(identity, identity.c.owner == report.c.key)
        .where(identity.c.type == "DiagnosticReport", identity.c.id == id_)
        .with_for_update(of=report)
    )
    row = connection.execute(query).first()
    return Filed(*row) if row else None


def owned(connection: Connection, report_key: int) -> list[Owned]:
    """Return what belongs to a report, and the Provenance of it."""
    columns = [resource.c[name] for name in Owned._fields]
    mine = (
        select(*columns)
        .join(identity, (identity.c.type == resource.c.type) & (identity.c.id == resource.c.id))
        .where(identity.c.owner == report_key)
        .order_by(resource.c.key)
    )
    found = [Owned(*row) for row in connection.execute(mine)]
    said_of = (
        select(*columns)
        .join(index_reference, index_reference.c.source_key == resource.c.key)
        .where(resource.c.type == "Provenance")
        .where(among(connection, index_reference.c.target_key, [one.key for one in found]))
        .order_by(resource.c.key)
    )
    more = (Owned(*row) for row in connection.execute(said_of)) if found else ()
    return list(dict.fromkeys([*found, *more]))


def restrict(connection: Connection, rows: Collection[Owned], hidden: bool) -> None:
    """Hide resources with all their versions, but for the privacy role, or show them again."""
    keys = [one.key for one in rows]
    here = update(resource).where(among(connection, resource.c.key, keys))
    connection.execute(here.values(restricted=hidden))
    restrict_versions(connection, rows, hidden)


def restrict_versions(connection: Connection, rows: Collection[Owned], hidden: bool) -> None:
    """Hide the earlier versions of resources, or show them again."""
    earlier = among(connection, resource_version.c.resource_key, [one.key for one in rows])
    connection.execute(update(resource_version).where(earlier).values(restricted=hidden))


def set_quarantined(connection: Connection, report_key: int, hidden: bool) -> None:
    """Note whether nothing more is filed for a report."""
    connection.execute(update(report).where(report.c.key == report_key).values(quarantined=hidden))


def parts(connection: Connection, report_key: int) -> list[tuple[int, bool]]:
    """Return the parts that brought versions of a report, in order; True: their bytes are gone."""
    query = (
        select(edition.c.part_key, message.c.purged_at.is_not(None))
        .join(part, part.c.key == edition.c.part_key)
        .join(message, message.c.key == part.c.message_key)
        .where(edition.c.report_key == report_key)
        .order_by(edition.c.key)
    )
    return [(int(key), bool(purged)) for key, purged in connection.execute(query)]


def give_up(connection: Connection, report_key: int, patient_key: int) -> None:
    """Make a report as if nothing of it had been filed yet, and another patient's."""
    made = select(identity.c.id).where(
        identity.c.owner == report_key, identity.c.type == "ServiceRequest"
    )
    connection.execute(
        delete(placed_order).where(
            placed_order.c.request_id.in_(made), placed_order.c.ordered.is_(False)
        )
    )
    for column in (identity.c.owner, edition.c.report_key, variant_occurrence.c.report_key):
        connection.execute(delete(column.table).where(column == report_key))
    fresh: Mapping[str, Any] = {
        "patient_key": patient_key, "status": "", "content_digest": "", "clock": 0, "sent_at": 0,
        "quarantined": False, "fetched_at": None, "read_at": None, "acknowledged_at": None,
    }  # fmt: skip
    connection.execute(update(report).where(report.c.key == report_key).values(**fresh))


def record_refile(connection: Connection, values: Mapping[str, Any], readers: list[Any]) -> None:
    """Keep who moved a report, why, and who had read it on the wrong patient."""
    row = {**values, "readers": orjson.dumps(readers).decode()}
    connection.execute(insert(report_refile).values(**row))


def hide_earlier_patients(connection: Connection, patient_key: int) -> None:
    """Hide the earlier versions of a Patient, and the Patients that were merged into it."""
    columns = [resource.c[name] for name in Owned._fields]
    subsumed = select(patient.c.key).where(patient.c.merged_into == patient_key)
    one_type = select(*columns).where(resource.c.type == "Patient")
    mine = one_type.where(resource.c.patient_key == patient_key)
    theirs = one_type.where(resource.c.patient_key.in_(subsumed))
    restrict_versions(connection, [Owned(*row) for row in connection.execute(mine)], True)
    restrict(connection, [Owned(*row) for row in connection.execute(theirs)], True)
