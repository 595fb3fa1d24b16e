"""What matching asks of the patient index, and the record of what it decided.

Evidence and candidates are patient data: they are kept here and never logged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select

from gateway.report import PersonName
from gateway.store.patients import read_names
from gateway.store.tables import identity_decision, patient, patient_history
from gateway.value import letters

_LIKE = 40


@dataclass(frozen=True, slots=True)
class Person:
    """A living patient as matching sees it: `names` are all that it has or had beside `name`."""

    key: int
    name: PersonName
    birth_date: str
    names: tuple[PersonName, ...]
    sex: str
    postcode: str


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision about who a part is about: match, hold or create, and the evidence."""

    part_key: int
    at: int
    outcome: str
    reason: str
    patient_key: int | None
    evidence: tuple[tuple[str, str], ...]


def persons(connection: Connection, keys: Iterable[int]) -> list[Person]:
    """Return patients by key, in the order of the keys."""
    query = select(patient).where(patient.c.key.in_(list(keys))).order_by(patient.c.key)
    return _with_names(connection, connection.execute(query).all())


def born(connection: Connection, birth_date: str) -> list[Person]:
    """Return every living patient with a birth date."""
    query = select(patient).where(
        patient.c.birth_date == birth_date, patient.c.merged_into.is_(None)
    )
    return _with_names(connection, connection.execute(query.order_by(patient.c.key)).all())


def alike(connection: Connection, birth_dates: Iterable[str], family: str) -> list[int]:
    """Return keys of living patients worth ranking: born on one of these days, or so named."""
    days = [one for one in birth_dates if one]
    same: list[ColumnElement[bool]] = [patient.c.birth_date.in_(days)]
    if name := letters(family):
        same.append(patient.c.family_letters == name)
    query = (
        select(patient.c.key)
        .where(or_(*same), patient.c.merged_into.is_(None))
        .order_by(patient.c.birth_date.in_(days).desc(), patient.c.key)
        .limit(_LIKE)
    )
    return [int(key) for key in connection.execute(query).scalars()]


def record(connection: Connection, decided: Decided) -> None:
    """Keep a decision; such a row is never changed."""
    values = {"part_key": decided.part_key, "at": decided.at, "outcome": decided.outcome,
              "reason": decided.reason, "patient_key": decided.patient_key,
              "evidence": orjson.dumps(decided.evidence).decode()}  # fmt: skip
    connection.execute(insert(identity_decision).values(**values))


def decisions(connection: Connection, part_key: int) -> list[Decided]:
    """Return the decisions about a part, in order."""
    decided = identity_decision.c
    query = select(identity_decision).where(decided.part_key == part_key).order_by(decided.key)
    return [
        Decided(row.part_key, row.at, row.outcome, row.reason, row.patient_key,
                tuple((name, said) for name, said in orjson.loads(row.evidence)))
        for row in connection.execute(query)
    ]  # fmt: skip


def _with_names(connection: Connection, rows: Iterable[Row[Any]]) -> list[Person]:
    """Add to each patient the names it had before, and those of records merged into it."""
    found = {row.key: row for row in rows}
    names: dict[int, list[PersonName]] = {
        key: list(read_names(row.other_names)) for key, row in found.items()
    }
    earlier = patient_history.c
    history = select(earlier.patient_key, earlier.family, earlier.given).where(
        earlier.patient_key.in_(list(found))
    )
    merged = select(patient.c.merged_into, patient.c.family, patient.c.given).where(
        patient.c.merged_into.in_(list(found))
    )
    for query in (history, merged) if found else ():
        for key, family, given in connection.execute(query):
            names[key].append(PersonName(family, tuple(given.split())))
    return [
        Person(key, PersonName(row.family, tuple(row.given.split())), row.birth_date,
               tuple(dict.fromkeys(names[key])), row.sex, row.postcode)
        for key, row in found.items()
    ]  # fmt: skip
