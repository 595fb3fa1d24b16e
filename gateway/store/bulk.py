"""Many rows in one statement, for the two databases: whole columns travel as one array.

Measured: one INSERT per row, or SQLAlchemy's own bulk insert, costs two to four times as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Table, bindparam
from sqlalchemy.sql import ColumnElement

from gateway.store import prepared

_POSTGRES_TYPES = {
    "BIGINT": "bigint", "SMALLINT": "smallint", "INTEGER": "bigint", "DOUBLE": "double precision",
}  # fmt: skip


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, skip: bool = False
) -> None:
    """Insert rows given in the order of the table's columns; `skip` leaves out existing keys."""
    if not rows:
        return
    names = ", ".join(c.name for c in table.columns)
    ending = " ON CONFLICT DO NOTHING" if skip else ""
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" for _ in table.columns)
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks}){ending}"  # noqa: S608 - names of our own tables
        connection.exec_driver_sql(statement, list(rows))
        return
    arrays = ", ".join(f"%s::{_postgres_type(c)}[]" for c in table.columns)
    statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){ending}"  # noqa: S608 - names of our own tables
    connection.exec_driver_sql(statement, tuple(list(values) for values in zip(*rows, strict=True)))


def _postgres_type(item: Any) -> str:
    name = item.type.compile()
    return _POSTGRES_TYPES.get(name, "text")


def among(
    connection: Connection, item: ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """Say `item` is one of `values`."""
    packed: BindParameter[Any] = bindparam(None, prepared.many(connection.dialect, values))
    return prepared.among(connection.dialect, item, packed)
