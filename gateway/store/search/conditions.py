"""The conditions of a search as SQL, and which of them leads.

The most selective condition drives the query; the others are probed for each candidate. A query
led by one token reads its index rows in key order, so that a page never sorts the whole.

SQL is written for a *shape*: the conditions with named parameters in the place of values.
Compiling takes the names in the order in which a condition gives its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Dialect
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import FromClause

from gateway.access import scopes
from gateway.store.guard import guard
from gateway.store.prepared import given, many
from gateway.store.search.asked import (
    Condition,
    Either,
    Ids,
    Linked,
    Pairs,
    PatientIdentifiers,
    PatientIds,
    Quantities,
    References,
    Shape,
    Strings,
    Tokens,
)
from gateway.store.search.meeting import Writing, hash_of, met
from gateway.store.tables import index_token, resource


def named(dialect: Dialect, conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the values of all conditions under the names that `plan` gives them."""
    return {
        f"c{place}_{number}": many(dialect, value) if isinstance(value, list) else value
        for place, condition in enumerate(conditions)
        for number, value in enumerate(condition.values())
    }


class _Binder:
    """Names the parameters of one condition in the order of its values."""

    def __init__(self, place: int) -> None:
        self._place, self._number = place, 0

    def __call__(self) -> BindParameter[Any]:
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


_NARROW = (PatientIds, PatientIdentifiers, Ids)
# What leads when nothing is narrow: its rows are found first, and sorted.
_LEADING = (References, Strings, Pairs, Quantities, Linked)


def plan(dialect: Dialect, access: scopes.Shape, type_: str, shapes: tuple[Shape, ...]) -> Plan:
    """Compile conditions together with the caller's Access."""
    narrow = any(item.kind in _NARROW for item in shapes)
    leading = not narrow and any(_leads(item) for item in shapes)
    token = None if narrow or leading else _single(shapes)
    where = [resource.c.type == type_, ~resource.c.deleted, guard(access, "s", resource)]
    for place, item in enumerate(shapes):
        writing = Writing(dialect, access, _Binder(place))
        if place != token:
            where.append(met(item, writing, resource, probe=not (leading and _leads(item))))
    updated = resource.c.updated_at
    if token is not None:
        # The sum keeps PostgreSQL from turning this round: walking all resources in order and
        # probing each for the token, instead of walking the token's rows in order.
        source = index_token.join(resource, resource.c.key == index_token.c.resource_key + 0)
        where.append(index_token.c.hash == hash_of(_Binder(token)))
        return Plan(source, tuple(where), index_token.c.resource_key, updated)
    if narrow or leading:
        # An expression has no index: else both databases walk all reports in order and probe
        # each for the patient, instead of fetching the few of the patient and sorting them.
        return Plan(resource, tuple(where), resource.c.key + 0, updated + 0)
    return Plan(resource, tuple(where), resource.c.key, updated)


def _leads(item: Shape) -> bool:
    if item.kind is Either:
        return all(_leads(one) or one.kind is Tokens for one in item.inner)
    return item.kind in _LEADING


def _single(shapes: tuple[Shape, ...]) -> int | None:
    single = (n for n, s in enumerate(shapes) if s.kind is Tokens and s.fixed == (True,))
    return next(single, None)
