"""Resources that clients write over FHIR: what stands, whose it is, who made it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, text

from gateway.access.access import Access
from gateway.store.guard import guard
from gateway.store.resources import Saved, Stored
from gateway.store.tables import patient, resource, written


class Writable(NamedTuple):
    """A resource as it stands, locked; `client` is empty where messages keep it."""

    version: int
    patient_key: int | None
    record_class: str
    client: str


def standing(
    connection: Connection, access: Access, type_: str, id_: str, letter: str
) -> Writable | None:
    """Return what the caller may change by interaction `letter`, locked, or None."""
    columns = resource.c
    row = connection.execute(
        select(columns.key, columns.version, columns.patient_key, columns.record_class)
        .where(columns.type == type_, columns.id == id_, ~columns.deleted)
        .where(guard(access.shape, letter, resource))
        .with_for_update(),
        dict(access.values),
    ).first()
    if row is None:
        return None
    query = select(written.c.client).where(written.c.resource_key == row.key)
    client = connection.execute(query).scalar() or ""
    return Writable(row.version, row.patient_key, row.record_class, client)


def whose(connection: Connection, patient_id: str) -> tuple[int, str]:
    """Return key and record class of a patient that is known to be there."""
    query = select(patient.c.key, patient.c.record_class).where(patient.c.id == patient_id)
    row = connection.execute(query).one()
    return row.key, row.record_class


def note_written(connection: Connection, saved: Iterable[Saved], client: str, now: int) -> None:
    """Note who made resources that are new."""
    rows = [{"resource_key": one.key, "client": client, "at": now} for one in saved]
    if rows:
        connection.execute(insert(written), rows)


def saved_text(connection: Connection, saved: Saved) -> Stored:
    """Return what was saved in this transaction, as it will be served."""
    columns = [resource.c[name] for name in Stored._fields]
    row = connection.execute(select(*columns).where(resource.c.key == saved.key)).one()
    return Stored._make(row)


def one_at_a_time(connection: Connection, name: str) -> None:
    """Let transactions that name the same thing wait for each other until they end.

    On SQLite there is one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
