"""An `Access` as SQL: the one predicate that every query of resources carries."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, and_, false, or_
from sqlalchemy.sql.expression import FromClause

from gateway.access.scopes import Shape
from gateway.store.parameters import SHARED
from gateway.store.prepared import given


@lru_cache(maxsize=4096)
def guard(access: Shape, letter: str, row: FromClause) -> ColumnElement[bool]:
    """Say which rows of `row` (resource, resource_version or an alias) the caller may see.

    `letter` is the interaction: r for read, s for search. resource_version has no type column:
    its reader checks the scope on the resource row. The statement is run with `Access.values`.
    """
    columns = row.c
    conditions = [
        _equal(columns.record_class, access.record_classes),
        columns.restricted == false(),
    ]
    types = access.types(letter)
    if types is not None and "type" in columns:
        conditions.append(_equal(columns.type, types))
    if access.confined:
        mine = columns.patient_key == given("access_patient")
        if "type" in columns:
            mine = or_(mine, and_(columns.patient_key.is_(None), columns.type.in_(sorted(SHARED))))
        conditions.append(mine)
    return and_(*conditions)


def _equal(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    wanted = sorted(values)
    return column == wanted[0] if len(wanted) == 1 else column.in_(wanted)
