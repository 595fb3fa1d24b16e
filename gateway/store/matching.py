"""Patients that may be a described person, as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, Dialect, and_, or_, select

from gateway.access.access import Access, Shape
from gateway.report import Identifier, Patient
from gateway.store import patients
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, given, prepare
from gateway.store.tables import patient, patient_identifier, resource
from gateway.value import letters

_MOST = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """A living patient that the caller may see: its key, description and resource as stored."""

    key: int
    id: str
    demographics: Patient
    body: str


def seen(connection: Connection, access: Access, described: Patient) -> list[Seen]:
    """Return whoever has a number, the birth date or the family name of the one described.

    Numbers that were hidden lead to nobody. Raises Forbidden without the scope Patient.s.
    """
    access.require("Patient", "s")
    keys = _numbered(connection, described.identifiers)
    found = _rows(connection, access, "birth_date", described.birth_date)
    found |= _rows(connection, access, "family_letters", letters(described.name.family))
    for key in sorted(keys - found.keys()):
        found |= _rows(connection, access, "key", key)
    return [
        Seen(key, id_, patients.look(connection, key).demographics, body)
        for key, (id_, body) in sorted(found.items())
    ]


def _numbered(connection: Connection, identifiers: Iterable[Identifier]) -> set[int]:
    number = patient_identifier.c
    keys: set[int] = set()
    for one in identifiers:
        query = select(number.patient_key).where(
            number.system == one.system, number.value == one.value, number.restricted.is_(False)
        )
        found = connection.execute(query).scalars().all()
        keys |= {patients.survivor(connection, key) for key in found}
    return keys


def _rows(
    connection: Connection, access: Access, column: str, value: object
) -> dict[int, tuple[str, str]]:
    if not value:
        return {}
    statement = _reading(connection.dialect, access.shape, column)
    rows = statement.run(connection, {**access.values, "wanted": value})
    return {row.key: (row.id, row.body) for row in rows}


@lru_cache(maxsize=256)
def _reading(dialect: Dialect, access: Shape, column: str) -> Prepared:
    statement = (
        select(patient.c.key, resource.c.id, resource.c.body)
        .join(resource, and_(resource.c.type == "Patient", resource.c.id == patient.c.id))
        .where(patient.c[column] == given("wanted"), patient.c.merged_into.is_(None))
        .where(or_(resource.c.deleted.is_(False)), guard(access, "s", resource))
        .order_by(patient.c.key)
        .limit(_MOST)
    )
    return prepare(dialect, statement)


@dataclass(frozen=True, slots=True)
class Crossed:
    """A patient by one of its numbers: its id and all numbers that are told."""

    id: str
    identifiers: tuple[Identifier, ...]


def cross(connection: Connection, access: Access, one: Identifier) -> Crossed | None:
    """Return the living patient that a number leads to, if the caller may see it, or None."""
    access.require("Patient", "s")
    for key in _numbered(connection, [one]):
        for id_, _ in _rows(connection, access, "key", key).values():
            return Crossed(id_, patients.look(connection, key).demographics.identifiers)
    return None
