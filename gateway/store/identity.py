"""What matching asks of the patient index, and the record of what it decided.

Evidence and candidates are patient data: they are kept here and never logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, TextClause, or_, select, text

from gateway.report import PersonName
from gateway.store.patients import read_names
from gateway.store.tables import identity_decision, patient
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
    return [one for key in sorted(keys) for one in _people(connection, _BY_KEY, {"key": key})]


def born(connection: Connection, birth_date: str) -> list[Person]:
    """Return every living patient with a birth date."""
    return _people(connection, _BY_BIRTH, {"day": birth_date})


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


_ADD = text(
    "INSERT INTO identity_decision (part_key, at, outcome, reason, patient_key, evidence)"
    " VALUES (:part_key, :at, :outcome, :reason, :patient_key, :evidence)"
)


def record(connection: Connection, decided: Decided) -> None:
    """Keep a decision; such a row is never changed."""
    values = {"part_key": decided.part_key, "at": decided.at, "outcome": decided.outcome,
              "reason": decided.reason, "patient_key": decided.patient_key,
              "evidence": orjson.dumps(decided.evidence).decode()}  # fmt: skip
    connection.execute(_ADD, values)


def decisions(connection: Connection, part_key: int) -> list[Decided]:
    """Return the decisions about a part, in order."""
    decided = identity_decision.c
    query = select(identity_decision).where(decided.part_key == part_key).order_by(decided.key)
    return [
        Decided(row.part_key, row.at, row.outcome, row.reason, row.patient_key,
                tuple((name, said) for name, said in orjson.loads(row.evidence)))
        for row in connection.execute(query)
    ]  # fmt: skip


def _names(where: str) -> TextClause:
    """Select patients with one row for each name: its own, those before, those merged into it."""
    columns = "p.key, p.birth_date, p.sex, p.postcode, p.other_names"
    return text(
        f"SELECT {columns}, p.family, p.given, 0 AS earlier FROM patient p WHERE {where}"  # noqa: S608 - two fixed conditions
        f" UNION ALL SELECT {columns}, h.family, h.given, 1 FROM patient p"
        f" JOIN patient_history h ON h.patient_key = p.key WHERE {where}"
        f" UNION ALL SELECT {columns}, m.family, m.given, 1 FROM patient p"
        f" JOIN patient m ON m.merged_into = p.key WHERE {where} ORDER BY 1, 8"
    )


_BY_KEY = _names("p.key = :key")
_BY_BIRTH = _names("p.birth_date = :day AND p.merged_into IS NULL")


def _people(
    connection: Connection, statement: TextClause, values: Mapping[str, Any]
) -> list[Person]:
    rows: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(statement, values):
        rows.setdefault(row.key, []).append(row)
    return [_person(own, earlier) for own, *earlier in rows.values()]


def _person(own: Row[Any], earlier: Iterable[Row[Any]]) -> Person:
    names = [*read_names(own.other_names), *map(_name, earlier)]
    return Person(own.key, _name(own), own.birth_date, tuple(dict.fromkeys(names)), own.sex,
                  own.postcode)  # fmt: skip


def _name(row: Row[Any]) -> PersonName:
    return PersonName(row.family, tuple(row.given.split()))
