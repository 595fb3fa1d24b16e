"""The order of a page, and where the page after it begins.

A resource without a value comes last. Rows that are equal in all that was asked are ordered by
key, in the direction of the last key of the order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from gateway.store.dates import FIRST, LAST
from gateway.store.prepared import given
from gateway.store.search.asked import Sort
from gateway.store.search.conditions import Plan
from gateway.store.search.kinds import Kind
from gateway.store.tables import index_date, index_string, index_token, resource, token

_LAST_TEXT = "\U0010ffff"


class Key(NamedTuple):
    """One value to order by."""

    value: ColumnElement[Any]
    descending: bool


def ordered(plan: Plan, sort: tuple[Sort, ...]) -> list[Key]:
    """Return what to order by; the last is the key of the row."""
    keys = [Key(_value(plan, one), one.descending) for one in sort]
    return [*keys, Key(plan.key, keys[-1].descending if keys else True)]


def position_names(sort: tuple[Sort, ...]) -> list[str]:
    """Name the values of a position in the order of `ordered`."""
    return [*(f"after_{place}" for place in range(len(sort))), "after_key"]


def after(keys: list[Key], names: list[str]) -> ColumnElement[bool]:
    """Say a row comes after the position."""
    if len({key.descending for key in keys}) == 1:
        here, there = tuple_(*(k.value for k in keys)), tuple_(*(given(name) for name in names))
        if len(keys) == 1:
            return keys[0].value < given(names[0])
        return here < there if keys[0].descending else here > there
    return or_(*(_at(keys, names, place) for place in range(len(keys))))


def _at(keys: list[Key], names: list[str], place: int) -> ColumnElement[bool]:
    """Say a row is equal before this place, and later at it."""
    same = [key.value == given(name) for key, name in zip(keys[:place], names, strict=False)]
    value, position = keys[place].value, given(names[place])
    return and_(*same, value < position if keys[place].descending else value > position)


def _value(plan: Plan, sort: Sort) -> ColumnElement[Any]:
    if sort.kind is None:
        return plan.updated if sort.name == "_lastUpdated" else resource.c.id
    pick = func.max if sort.descending else func.min
    if sort.kind is Kind.DATE:
        dates = index_date.alias().c
        value = select(pick(dates.low)).where(
            dates.resource_key == resource.c.key, dates.parameter == sort.number
        )
        return func.coalesce(_scalar(value), FIRST if sort.descending else LAST)
    nothing = "" if sort.descending else _LAST_TEXT
    if sort.kind is Kind.STRING:
        texts = index_string.alias().c
        value = select(pick(texts.text)).where(
            texts.resource_key == resource.c.key, texts.parameter == sort.number
        )
        return func.coalesce(_scalar(value), nothing)
    rows, literals = index_token.alias().c, token.alias().c
    beginning = f"{sort.number}\x1f"
    value = select(pick(literals.literal)).where(
        rows.resource_key == resource.c.key,
        literals.hash == rows.hash,
        func.substr(literals.literal, 1, len(beginning)) == beginning,
    )
    return func.coalesce(_scalar(value), nothing)


def _scalar(value: Select[Any]) -> ColumnElement[Any]:
    return value.correlate(resource).scalar_subquery()
