"""A statement written once and run many times with other values.

SQLAlchemy's expression building and cache key cost more than the query itself (measured: three
quarters of a search), so what is asked again and again is kept as the text the driver takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    BindParameter,
    Connection,
    CursorResult,
    Dialect,
    Select,
    bindparam,
    func,
    select,
)
from sqlalchemy.sql import ColumnElement


@dataclass(frozen=True, slots=True)
class Prepared:
    """SQL text; `names` is the order of its values where they are positional."""

    sql: str
    names: tuple[str, ...] | None
    constants: Mapping[str, Any]

    def run(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Run it; values that it has no use for are left out."""
        filled = {**self.constants, **values}
        if self.names is not None:
            return connection.exec_driver_sql(self.sql, tuple(filled[name] for name in self.names))
        return connection.exec_driver_sql(self.sql, filled)


def given(name: str) -> BindParameter[Any]:
    """Stand in a statement for a value that comes when it runs."""
    return bindparam(name, None)  # with a placeholder, else lists beside it cannot be written out


def prepare(dialect: Dialect, statement: Select[Any]) -> Prepared:
    """Write a statement down; its named parameters get their values when it runs."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    order = compiled.positiontup
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(str(compiled), tuple(order) if order is not None else None, constants)


def among(
    dialect: Dialect, item: ColumnElement[Any], wanted: BindParameter[Any]
) -> ColumnElement[bool]:
    """Say `item` is one of `wanted`, one parameter however many values `many` packs into it."""
    if dialect.name == "sqlite":
        each = func.json_each(wanted).table_valued("value")
        return item.in_(select(each.c.value))
    return item == func.any(wanted)


def many(dialect: Dialect, values: Iterable[Any]) -> Any:
    """Pack values as `among` takes them."""
    listed = list(values)
    return orjson.dumps(listed).decode() if dialect.name == "sqlite" else listed
