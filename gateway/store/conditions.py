"""The conditions of a search as SQL, and which of them leads.

The most selective condition drives the query; the others are probed for each candidate. A query
led by one token reads its index rows in key order, so that a page never sorts the whole.

SQL is written for a *shape*: the conditions with named parameters in the place of values.
`shape` and `binds` take a condition apart; the two always agree on the order of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, and_, exists, false, or_, select
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import FromClause, ScalarSelect

from gateway.access import scopes
from gateway.store.extraction import token_hashes
from gateway.store.guard import guard
from gateway.store.prepared import given
from gateway.store.query import (
    Condition,
    Dates,
    Ids,
    PatientIdentifiers,
    PatientIds,
    References,
    Tokens,
)
from gateway.store.tables import (
    index_date,
    index_reference,
    index_token,
    patient,
    patient_identifier,
    resource,
    token,
)


class Shape(NamedTuple):
    """A condition without its values: `details` has one item for each value or pair of values."""

    kind: type[Any]
    number: int
    details: tuple[Any, ...]


def shape(condition: Condition) -> Shape:
    """Return what of a condition decides the SQL."""
    match condition:
        case Tokens(literals):
            return Shape(Tokens, 0, (None,) * len(literals))
        case References(number, targets):
            return Shape(References, number, tuple(types for types, _ in targets))
        case PatientIdentifiers(pairs):
            return Shape(PatientIdentifiers, 0, (None,) * len(pairs))
        case Dates(number, ranges):
            return Shape(Dates, number, tuple(prefix for prefix, _, _ in ranges))
        case PatientIds(ids) | Ids(ids):
            return Shape(type(condition), 0, (None,) * len(ids))


def binds(condition: Condition) -> Iterable[Any]:
    """Return the values of a condition."""
    match condition:
        case Tokens(literals):
            return [value for text in literals for value in (*token_hashes(text), text)]
        case References(_, targets):
            return [id_ for _, id_ in targets]
        case PatientIdentifiers(pairs):
            return [value for pair in pairs for value in pair]
        case Dates(_, ranges):
            return [value for _, low, high in ranges for value in (low, high)]
        case PatientIds(ids) | Ids(ids):
            return ids


def named(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the values of all conditions under the names that `plan` gives them."""
    return {
        f"c{place}_{number}": value
        for place, condition in enumerate(conditions)
        for number, value in enumerate(binds(condition))
    }


class _Binder:
    """Names the parameters of one condition in the order of `binds`."""

    def __init__(self, place: int) -> None:
        self._place, self._number = place, 0

    def next(self) -> BindParameter[Any]:
        made = given(f"c{self._place}_{self._number}")
        self._number += 1
        return made


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to select from, under which conditions, and what orders by key and by last update."""

    source: FromClause
    where: tuple[ColumnElement[bool], ...]
    key: ColumnElement[Any]
    updated: ColumnElement[Any]


def plan(access: scopes.Shape, type_: str, shapes: tuple[Shape, ...]) -> Plan:
    """Compile conditions together with the caller's Access."""
    narrow = any(item.kind in _NARROW for item in shapes)
    leader = None if narrow else _leader(shapes)
    where = [resource.c.type == type_, ~resource.c.deleted, guard(access, "s", resource)]
    where += [
        _COMPILERS[item.kind](item, _Binder(place), access)
        for place, item in enumerate(shapes)
        if place != leader
    ]
    updated = resource.c.updated_at
    if leader is not None:
        # The sum keeps PostgreSQL from turning this round: walking all resources in order and
        # probing each for the token, instead of walking the token's rows in order.
        source = index_token.join(resource, resource.c.key == index_token.c.resource_key + 0)
        where.append(index_token.c.hash == _hash(_Binder(leader)))
        return Plan(source, tuple(where), index_token.c.resource_key, updated)
    if narrow:
        # An expression has no index: else both databases walk all reports in order and probe
        # each for the patient, instead of fetching the few of the patient and sorting them.
        return Plan(resource, tuple(where), resource.c.key + 0, updated + 0)
    return Plan(resource, tuple(where), resource.c.key, updated)


# PostgreSQL cannot know how common a token is and would start from its rows: this sum lets it
# only probe the index for a resource it has already.
_PROBED = resource.c.key + 0

_NARROW = (PatientIds, PatientIdentifiers, Ids, References)


def _leader(shapes: tuple[Shape, ...]) -> int | None:
    single = (n for n, s in enumerate(shapes) if s.kind is Tokens and len(s.details) == 1)
    return next(single, None)


def _hash(binder: _Binder) -> ScalarSelect[int]:
    # A hash leads to its literal first: what collides never matches.
    places = token.c.hash.in_((binder.next(), binder.next()))
    return select(token.c.hash).where(places, token.c.literal == binder.next()).scalar_subquery()


def _tokens(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    hashes = [_hash(binder) for _ in item.details]
    # Aliased, because the leading condition may read the same table.
    probe = index_token.alias()
    found = exists().where(probe.c.resource_key == _PROBED, probe.c.hash.in_(hashes))
    return found.correlate(resource)


def _references(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    target = resource.alias("target")
    wanted = [
        and_(target.c.type.in_(types), target.c.id == binder.next()) for types in item.details
    ]
    sources = (
        select(index_reference.c.source_key)
        .join(target, target.c.key == index_reference.c.target_key)
        .where(index_reference.c.parameter == item.number, or_(false(), *wanted))
    )
    return resource.c.key.in_(sources)


def _patient_ids(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    ids = [binder.next() for _ in item.details]
    asked = select(patient.c.key).where(patient.c.id.in_(ids))
    return resource.c.patient_key.in_(_line(asked))


def _patient_identifiers(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    record, found = resource.alias("record"), patient_identifier.c
    pairs = [
        and_(found.system == binder.next(), found.value == binder.next()) for _ in item.details
    ]
    # The caller learns that this patient exists: the Patient itself must be readable.
    asked = (
        select(found.patient_key)
        .join(record, record.c.patient_key == found.patient_key)
        .where(or_(*pairs), found.state.in_(("current", "retired")))
        .where(record.c.type == "Patient", ~record.c.deleted, guard(access, "s", record))
    )
    return resource.c.patient_key.in_(_line(asked))


def _line(asked: Select[tuple[int]]) -> Select[tuple[int]]:
    """Return the keys asked for and of everyone they were merged into."""
    line = asked.cte(recursive=True)
    earlier = patient.alias("earlier")
    survivors = (
        select(earlier.c.merged_into)
        .join(line, line.c[0] == earlier.c.key)
        .where(earlier.c.merged_into.is_not(None))
    )
    line = line.union(survivors)
    return select(line.c[0])


def _dates(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    if item.number == 0:
        updated = resource.c.updated_at
        return or_(*_overlaps(item, binder, updated, updated + 1000))
    columns = index_date.alias().c
    ranges = _overlaps(item, binder, columns.low, columns.high)
    found = exists().where(
        columns.resource_key == _PROBED, columns.parameter == item.number, or_(*ranges)
    )
    return found.correlate(resource)


def _overlaps(
    item: Shape, binder: _Binder, low: ColumnElement[int], high: ColumnElement[int]
) -> list[ColumnElement[bool]]:
    return [_overlap(low, high, prefix, binder.next(), binder.next()) for prefix in item.details]


def _overlap(
    low: ColumnElement[int],
    high: ColumnElement[int],
    prefix: str,
    first: ColumnElement[int],
    end: ColumnElement[int],
) -> ColumnElement[bool]:
    """Compare the interval of a resource with the one asked for (R4 search.html, prefixes)."""
    inside = and_(low >= first, high <= end)
    return {
        "eq": lambda: inside,
        "ne": lambda: ~inside,
        "lt": lambda: low < first,
        "gt": lambda: high > end,
        "le": lambda: or_(low < first, inside),
        "ge": lambda: or_(high > end, inside),
        "sa": lambda: low >= end,
        "eb": lambda: high <= first,
    }[prefix]()


def _ids(item: Shape, binder: _Binder, access: scopes.Shape) -> ColumnElement[bool]:
    return resource.c.id.in_([binder.next() for _ in item.details])


_COMPILERS: dict[type[Any], Callable[[Shape, _Binder, scopes.Shape], ColumnElement[bool]]] = {
    Tokens: _tokens,
    References: _references,
    PatientIds: _patient_ids,
    PatientIdentifiers: _patient_identifiers,
    Dates: _dates,
    Ids: _ids,
}
