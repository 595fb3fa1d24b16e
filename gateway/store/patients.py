"""The local patient index: who is known by which identifier; rows are locked before use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection, insert, select, text, update

from gateway.report import Identifier, Patient, PersonName
from gateway.store.tables import patient, patient_identifier

_ADD_IDENTIFIER = text(
    "INSERT INTO patient_identifier (system, value, patient_key, state, source, since)"
    " VALUES (:system, :value, :patient, 'current', :source, :now)"
    " ON CONFLICT (system, value) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Indexed:
    """One patient of the index: internal key, FHIR id and demographics."""

    key: int
    id: str
    clock: int
    record_class: str
    demographics: Patient


def find(connection: Connection, identifiers: Iterable[Identifier]) -> list[Indexed]:
    """Return the living patients these identifiers lead to, locked, merges followed."""
    keys: set[int] = set()
    for one in identifiers:
        query = select(patient_identifier.c.patient_key).where(
            patient_identifier.c.system == one.system, patient_identifier.c.value == one.value
        )
        keys.update(connection.execute(query).scalars())
    return [_read(connection, key) for key in sorted({_survivor(connection, key) for key in keys})]


def by_key(connection: Connection, key: int) -> Indexed:
    """Return the living patient of a key, locked, merges followed."""
    return _read(connection, _survivor(connection, key))


def _survivor(connection: Connection, key: int) -> int:
    seen: set[int] = set()
    while key not in seen:
        seen.add(key)
        query = select(patient.c.merged_into).where(patient.c.key == key)
        key = connection.execute(query).scalar() or key
    return key


def _read(connection: Connection, key: int) -> Indexed:
    row = connection.execute(select(patient).where(patient.c.key == key).with_for_update()).one()
    query = (
        select(patient_identifier)
        .where(patient_identifier.c.patient_key == key, patient_identifier.c.state == "current")
        .order_by(patient_identifier.c.key)
    )
    identifiers = tuple(
        Identifier(one.value, one.system, "NH") for one in connection.execute(query)
    )
    name = PersonName(row.family, tuple(row.given.split()))
    demographics = Patient(identifiers, name, row.birth_date, row.sex, row.postcode, row.deceased)
    return Indexed(row.key, row.id, row.clock, row.record_class, demographics)


def create(
    connection: Connection, given: Patient, source: str, clock: int, now: int, record_class: str
) -> Indexed:
    """Add a patient with a random FHIR id; its identifiers must be new."""
    values = {**_columns(given), "id": str(uuid4()), "record_class": record_class}
    key = connection.execute(
        insert(patient).values(**values, clock=clock, changed_at=now).returning(patient.c.key)
    ).scalar_one()
    add_identifiers(connection, key, given.identifiers, source, now)
    return _read(connection, key)


def change(
    connection: Connection, known: Indexed, given: Patient, source: str, clock: int, now: int
) -> Indexed:
    """Replace the demographics of a patient and add identifiers it did not have."""
    connection.execute(
        update(patient)
        .where(patient.c.key == known.key)
        .values(**_columns(given), clock=clock, changed_at=now)
    )
    add_identifiers(connection, known.key, given.identifiers, source, now)
    return _read(connection, known.key)


def add_identifiers(
    connection: Connection, key: int, identifiers: Iterable[Identifier], source: str, now: int
) -> None:
    """Give a patient identifiers; one that somebody has already stays where it is."""
    for one in identifiers:
        values = {"system": one.system, "value": one.value, "patient": key}
        connection.execute(_ADD_IDENTIFIER, {**values, "source": source, "now": now})


def _columns(given: Patient) -> dict[str, str]:
    return {
        "family": given.name.family,
        "given": " ".join(given.name.given),
        "birth_date": given.birth_date,
        "sex": given.sex,
        "postcode": given.postcode,
        "deceased": given.deceased,
    }
