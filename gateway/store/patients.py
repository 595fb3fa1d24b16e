"""The local patient index: who is known by which identifier; rows are locked before use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Row, insert, select, text, update

from gateway.errors import NotFound
from gateway.report import Identifier, Patient, PersonName
from gateway.store.tables import (
    patient,
    patient_decision,
    patient_history,
    patient_identifier,
    patient_link,
    patient_merge,
)
from gateway.value import letters

_ADD_IDENTIFIER = text(
    "INSERT INTO patient_identifier (system, value, patient_key, state, source, since)"
    " VALUES (:system, :value, :patient, :state, :source, :now)"
    " ON CONFLICT (system, value) DO NOTHING"
)
_OWNER = text(
    "SELECT patient_key FROM patient_identifier WHERE system = :system AND value = :value"
)
_MERGED_INTO = text("SELECT merged_into FROM patient WHERE key = :key")
_ROW = "SELECT * FROM patient WHERE key = :key"
_NUMBERS = text(
    "SELECT system, value FROM patient_identifier WHERE patient_key = :key AND state = 'current'"
    " AND NOT restricted ORDER BY key"
)
_TOLD = text(
    "SELECT 'replaces' AS kind, p.id, m.key FROM patient_merge m JOIN patient p"
    " ON p.key = m.subsumed_key WHERE m.survivor_key = :key AND m.undone_at IS NULL"
    " AND NOT m.restricted"
    " UNION ALL SELECT 'replaced-by', s.id, 0 FROM patient p JOIN patient s"
    " ON s.key = p.merged_into WHERE p.key = :key"
    " UNION ALL SELECT 'seealso', p.id, l.key FROM patient_link l JOIN patient p"
    " ON p.key = l.other_key WHERE l.one_key = :key AND l.ended_at IS NULL"
    " UNION ALL SELECT 'seealso', p.id, l.key FROM patient_link l JOIN patient p"
    " ON p.key = l.one_key WHERE l.other_key = :key AND l.ended_at IS NULL ORDER BY 1, 3"
)


@dataclass(frozen=True, slots=True)
class Indexed:
    """One patient of the index: internal key, FHIR id and demographics.

    `clock` is that of the newest demographics; `provisional` has no national number yet.
    """

    key: int
    id: str
    clock: int
    record_class: str
    demographics: Patient
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """Who said the demographics, and when, in microseconds by the sender's clock."""

    source: str
    clock: int


def find(connection: Connection, identifiers: Iterable[Identifier]) -> list[Indexed]:
    """Return the living patients these identifiers lead to, locked, merges followed."""
    keys = {survivor(connection, key) for key in owners(connection, identifiers)}
    living = (by_key(connection, key) for key in sorted(keys))
    return list({one.key: one for one in living}.values())


def owners(connection: Connection, identifiers: Iterable[Identifier]) -> set[int]:
    """Return the patients that were given these identifiers, merged since or not."""
    keys: set[int] = set()
    for one in identifiers:
        values = {"system": one.system, "value": one.value}
        keys.update(connection.execute(_OWNER, values).scalars())
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
        key = connection.execute(_MERGED_INTO, {"key": key}).scalar() or key
    return key


def key_of(connection: Connection, id_: str) -> int:
    """Return the key of who a patient is now, by FHIR id; raises NotFound."""
    found = connection.execute(select(patient.c.key).where(patient.c.id == id_)).scalar()
    if found is None:
        raise NotFound("there is no such patient")
    return survivor(connection, int(found))


def read(connection: Connection, key: int) -> Indexed:
    """Return this very patient, locked, even when it was merged into another."""
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    return _indexed(connection, connection.execute(text(_ROW + lock), {"key": key}).one())


def look(connection: Connection, key: int) -> Indexed:
    """Return this very patient as it stands, without locking it."""
    return _indexed(connection, connection.execute(text(_ROW), {"key": key}).one())


def _indexed(connection: Connection, row: Row[Any]) -> Indexed:
    """Add to a row its numbers, and the records it is told to belong with.

    A restricted merge is told by neither side that stays; links (A24) by both.
    """
    numbers = connection.execute(_NUMBERS, {"key": row.key})
    told = connection.execute(_TOLD, {"key": row.key}).all()
    related = {kind: tuple(f"Patient/{one.id}" for one in told if one.kind == kind)
               for kind in ("replaces", "replaced-by", "seealso")}  # fmt: skip
    demographics = Patient(
        identifiers=tuple(Identifier(one.value, one.system, "NH") for one in numbers),
        name=PersonName(row.family, tuple(row.given.split())),
        other_names=read_names(row.other_names), replaces=related["replaces"],
        replaced_by="".join(related["replaced-by"]), see_also=related["seealso"],
        **{name: getattr(row, name) for name in _SAID},
    )  # fmt: skip
    return Indexed(
        row.key, row.id, row.clock, row.record_class, demographics, bool(row.provisional)
    )


def add_link(connection: Connection, keys: tuple[int, int], part_key: int, now: int) -> bool:
    """Link two records of one person that stay two; False when they are linked already."""
    one, other = sorted(keys)
    if connection.execute(select(patient_link.c.key).where(*_linking(one, other))).first():
        return False
    values = {"one_key": one, "other_key": other, "part_key": part_key, "since": now}
    connection.execute(insert(patient_link).values(**values))
    return True


def end_link(connection: Connection, keys: tuple[int, int], now: int) -> bool:
    """End the link of two records; False when there is none."""
    one, other = sorted(keys)
    query = update(patient_link).where(*_linking(one, other)).values(ended_at=now)
    return bool(connection.execute(query).rowcount)


def _linking(one: int, other: int) -> tuple[Any, ...]:
    link = patient_link.c
    return (link.one_key == one, link.other_key == other, link.ended_at.is_(None))


def find_id(connection: Connection, id_: str) -> int | None:
    """Return the key of the patient with a FHIR id, merged since or not, or None."""
    return connection.execute(select(patient.c.key).where(patient.c.id == id_)).scalar()


def create(
    connection: Connection, given: Patient, said: Said, now: int, record_class: str,
    provisional: bool = False,
) -> Indexed:  # fmt: skip
    """Add a patient with a random FHIR id; its identifiers must be new."""
    values = {**_columns(given, said), "id": str(uuid4()), "record_class": record_class,
              "provisional": provisional}  # fmt: skip
    if given.ethnic_category:
        values |= {"ethnic_source": said.source, "ethnic_at": said.clock}
    key = connection.execute(
        insert(patient).values(**values, changed_at=now).returning(patient.c.key)
    ).scalar_one()
    add_identifiers(connection, key, given.identifiers, said.source, now)
    return read(connection, key)


def change(
    connection: Connection, known: Indexed, given: Patient, said: Said, now: int,
    provisional: bool = False,
) -> Indexed:  # fmt: skip
    """Replace the demographics of a patient, which are kept, and add numbers it did not have."""
    here = patient.c.key == known.key
    row = connection.execute(select(patient).where(here)).one()
    values = {**_columns(given, said), "provisional": provisional}
    if given.ethnic_category != row.ethnic_category:
        values |= {"ethnic_source": said.source, "ethnic_at": said.clock}
    if any(getattr(row, name) != values[name] for name in _KEPT):
        _keep(connection, row, now)
    connection.execute(update(patient).where(here).values(**values, changed_at=now))
    add_identifiers(connection, known.key, given.identifiers, said.source, now)
    return read(connection, known.key)


def _keep(connection: Connection, row: Row[Any], now: int) -> None:
    kept = {name: getattr(row, name) for name in (*_KEPT, "source", "clock")}
    connection.execute(insert(patient_history).values(patient_key=row.key, until=now, **kept))


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


def add_number(connection: Connection, key: int, number: Identifier, source: str, now: int) -> None:
    """Give a patient a national number: it is no longer provisional."""
    add_identifiers(connection, key, [number], source, now)
    connection.execute(
        update(patient).where(patient.c.key == key).values(provisional=False, changed_at=now)
    )


def restrict(connection: Connection, key: int) -> None:
    """Tell nobody any more of the numbers a patient had before, nor of records merged into it."""
    number, link = patient_identifier.c, patient_merge.c
    connection.execute(
        update(patient_identifier)
        .where(number.patient_key == key, number.state == "retired")
        .values(restricted=True)
    )
    connection.execute(
        update(patient_merge).where(link.survivor_key == key).values(restricted=True)
    )


def record_decision(
    connection: Connection, key: int, now: int, who: str, action: str, why: str
) -> None:
    """Keep what a person decided about a patient; such a row is never changed."""
    values = {"patient_key": key, "at": now, "who": who, "action": action, "reason": why}
    connection.execute(insert(patient_decision).values(**values))


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


def ethnic_categories(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return the ethnic category of patients by FHIR id, of those who have one."""
    query = select(patient.c.id, patient.c.ethnic_category).where(patient.c.id.in_(list(ids)))
    return {row.id: row.ethnic_category for row in connection.execute(query) if row[1]}


def read_names(text: str) -> tuple[PersonName, ...]:
    """Read the other names of a patient as they are stored."""
    return tuple(PersonName(family, tuple(given)) for family, given in orjson.loads(text))


# Columns that are fields of `Patient` by the same name, and those that history keeps.
_SAID = ("birth_date", "sex", "postcode", "deceased", "multiple_birth", "address_since",
         "ethnic_category", "confidentiality")  # fmt: skip
_KEPT = ("family", "given", "birth_date", "sex", "postcode", "address_since", "deceased")


def _columns(given: Patient, said: Said) -> dict[str, Any]:
    others = [[one.family, list(one.given)] for one in given.other_names]
    return {
        "family": given.name.family,
        "given": " ".join(given.name.given),
        "family_letters": letters(given.name.family),
        "other_names": orjson.dumps(others).decode(),
        **{name: getattr(given, name) for name in _SAID},
        "source": said.source,
        "clock": said.clock,
    }
