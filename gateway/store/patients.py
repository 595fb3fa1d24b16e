"""The local patient index: who is known by which identifier; rows are locked before use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection, insert, select, text, update

from gateway.errors import NotFound
from gateway.report import Identifier, Patient, PersonName
from gateway.store.tables import patient, patient_identifier, patient_merge

_ADD_IDENTIFIER = text(
    "INSERT INTO patient_identifier (system, value, patient_key, state, source, since)"
    " VALUES (:system, :value, :patient, :state, :source, :now)"
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
    keys = {survivor(connection, key) for key in owners(connection, identifiers)}
    living = (by_key(connection, key) for key in sorted(keys))
    return list({one.key: one for one in living}.values())


def owners(connection: Connection, identifiers: Iterable[Identifier]) -> set[int]:
    """Return the patients that were given these identifiers, merged since or not."""
    keys: set[int] = set()
    for one in identifiers:
        query = select(patient_identifier.c.patient_key).where(
            patient_identifier.c.system == one.system, patient_identifier.c.value == one.value
        )
        keys.update(connection.execute(query).scalars())
    return keys


def by_key(connection: Connection, key: int) -> Indexed:
    """Return the living patient of a key, locked, merges followed."""
    while True:
        found = read(connection, survivor(connection, key))
        # The lock may have waited for a merge of just this patient.
        if not found.demographics.replaced_by:
            return found
        key = found.key


def survivor(connection: Connection, key: int) -> int:
    """Return the patient that this one was merged into at last, or itself."""
    seen: set[int] = set()
    while key not in seen:
        seen.add(key)
        query = select(patient.c.merged_into).where(patient.c.key == key)
        key = connection.execute(query).scalar() or key
    return key


def key_of(connection: Connection, id_: str) -> int:
    """Return the key of who a patient is now, by FHIR id; raises NotFound."""
    found = connection.execute(select(patient.c.key).where(patient.c.id == id_)).scalar()
    if found is None:
        raise NotFound("there is no such patient")
    return survivor(connection, int(found))


def read(connection: Connection, key: int) -> Indexed:
    """Return this very patient, locked, even when it was merged into another."""
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
    demographics = Patient(
        identifiers, name, row.birth_date, row.sex, row.postcode, row.deceased,
        *_links(connection, key, row.merged_into),
    )  # fmt: skip
    return Indexed(row.key, row.id, row.clock, row.record_class, demographics)


def _links(
    connection: Connection, key: int, merged_into: int | None
) -> tuple[tuple[str, ...], str]:
    link = patient_merge.c
    query = (
        select(patient.c.id)
        .join(patient_merge, link.subsumed_key == patient.c.key)
        .where(link.survivor_key == key, link.undone_at.is_(None))
        .order_by(link.key)
    )
    replaces = tuple(f"Patient/{id_}" for id_ in connection.execute(query).scalars())
    if merged_into is None:
        return replaces, ""
    by = connection.execute(select(patient.c.id).where(patient.c.key == merged_into)).scalar_one()
    return replaces, f"Patient/{by}"


def create(
    connection: Connection, given: Patient, source: str, clock: int, now: int, record_class: str
) -> Indexed:
    """Add a patient with a random FHIR id; its identifiers must be new."""
    values = {**_columns(given), "id": str(uuid4()), "record_class": record_class}
    key = connection.execute(
        insert(patient).values(**values, clock=clock, changed_at=now).returning(patient.c.key)
    ).scalar_one()
    add_identifiers(connection, key, given.identifiers, source, now)
    return read(connection, key)


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
    return read(connection, known.key)


def add_identifiers(
    connection: Connection,
    key: int,
    identifiers: Iterable[Identifier],
    source: str,
    now: int,
    state: str = "current",
) -> None:
    """Give a patient identifiers; one that somebody has already stays where it is.

    A retired one still leads to the patient, and is no longer shown.
    """
    for one in identifiers:
        values = {"system": one.system, "value": one.value, "patient": key, "state": state}
        connection.execute(_ADD_IDENTIFIER, {**values, "source": source, "now": now})


def retire(connection: Connection, key: int, identifiers: Iterable[Identifier]) -> None:
    """Mark identifiers of a patient as used no more."""
    for one in identifiers:
        connection.execute(
            update(patient_identifier)
            .where(patient_identifier.c.patient_key == key)
            .where(patient_identifier.c.system == one.system)
            .where(patient_identifier.c.value == one.value)
            .values(state="retired")
        )


def _columns(given: Patient) -> dict[str, str]:
    return {
        "family": given.name.family,
        "given": " ".join(given.name.given),
        "birth_date": given.birth_date,
        "sex": given.sex,
        "postcode": given.postcode,
        "deceased": given.deceased,
    }
