"""Restore: a backup into an empty database and folder, verified before and after."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Table, insert, select, text

from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.store import schema
from gateway.store.archive import (
    BackupError,
    Manifest,
    Total,
    contents_of,
    rows_of,
    verify,
)
from gateway.store.backup import lines_of
from gateway.store.database import Database
from gateway.store.files import Files

_CHUNK = 1 << 20


def restore(database: Database, files: Files, audit: Path, source: Path) -> Manifest:
    """Put back what a backup holds, in one transaction, and bring its schema up to date.

    Raises BackupError when it is not sound (before anything is changed) or did not arrive whole
    (and then the database stays empty), and InvalidRequest when the database or the folder of
    journals is not empty.
    """
    manifest = verify(source)
    if audit.is_dir() and any(audit.iterdir()):
        raise InvalidRequest("the folder of audit journals is not empty", where=audit.name)
    _prepare(database, manifest)
    for digest, content in contents_of(source, "files"):
        if files.keep(_chunks(content)) != digest:
            raise BackupError("it is not what was written", where=f"files/{digest}")
    beside = _put_journals(audit, source)
    with database.write() as connection:
        tables = schema.tables(connection)
        columns = _put_rows(connection, tables, source)
        _compare(connection, tables, columns, manifest)
        _set_sequences(connection, tables)
    if audit.is_dir():
        audit.rmdir()
    beside.replace(audit)
    schema.upgrade(database)
    if not schema.current(database):
        raise BackupError("its schema could not be brought up to date", where="database")
    return manifest


def _prepare(database: Database, manifest: Manifest) -> None:
    """Give an empty database the schema that the backup was taken from."""
    if manifest.revision not in schema.revisions():
        raise BackupError("it is of a newer release", where="manifest.json")
    with database.read() as connection:
        present = schema.revision(connection)
        if not _empty(connection):
            raise InvalidRequest("the database is not empty", where="database")
        if present and present != manifest.revision:
            text = f"give it a new database: this one has revision {present} already"
            raise InvalidRequest(text, where="database")
    if not present:
        schema.upgrade(database, manifest.revision)


def _empty(connection: Connection) -> bool:
    return all(
        connection.execute(select(text("1")).select_from(table).limit(1)).first() is None
        for table in schema.tables(connection).values()
    )


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: content.read(_CHUNK), b"")


def _put_rows(
    connection: Connection, tables: dict[str, Table], source: Path
) -> dict[str, list[str]]:
    """Insert all rows; what points ahead in its own table is set once that row is there.

    Returns the columns of each table that has rows.
    """
    ahead: dict[tuple[str, str], list[dict[str, Any]]] = {}
    written: dict[str, list[str]] = {}
    for name, columns, rows in rows_of(source):
        if name not in tables or set(columns) != set(tables[name].columns.keys()):
            raise BackupError("its schema has no such table", where=name)
        written[name] = columns
        for column in _pointing_to_itself(tables[name]):
            for row in rows:
                if row[column] is not None and row[column] > row["key"]:
                    target = {"this_key": row["key"], "target": row[column]}
                    ahead.setdefault((name, column), []).append(target)
                    row[column] = None
        connection.execute(insert(tables[name]), rows)
    for (name, column), targets in ahead.items():
        query = text(f"UPDATE {name} SET {column} = :target WHERE key = :this_key")  # noqa: S608 - names of our own tables
        connection.execute(query, targets)
    return written


def _pointing_to_itself(table: Table) -> list[str]:
    return [
        column.name for column in table.columns
        for key in column.foreign_keys if key.column.table is table
    ]  # fmt: skip


def _compare(
    connection: Connection, tables: dict[str, Table], columns: dict[str, list[str]],
    manifest: Manifest,
) -> None:  # fmt: skip
    """Read back every row: each must be what was written."""
    for name, member in manifest.tables.items():
        total = Total()
        if name in columns:
            for line in lines_of(connection, tables[name], columns[name]):
                total.add(hashlib.sha256(line).digest())
        if (total.count, total.text) != (member.rows, member.total):
            raise BackupError("not every row arrived as it was", where=member.name)


def _set_sequences(connection: Connection, tables: dict[str, Table]) -> None:
    """PostgreSQL numbers on from the highest key; SQLite does so by itself."""
    if connection.dialect.name == "sqlite":
        return
    for name, table in tables.items():
        if "key" not in table.columns:
            continue
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:name, 'key')"), {"name": name}
        ).scalar()
        if sequence:
            connection.execute(text(
                "SELECT setval(CAST(:sequence AS regclass), coalesce(max(key), 1),"  # noqa: S608 - names of our own tables
                f" max(key) IS NOT NULL) FROM {name}"
            ), {"sequence": sequence})  # fmt: skip


def _put_journals(audit: Path, source: Path) -> Path:
    """Write the journals into a folder beside theirs, which gets its name when all is there."""
    beside = audit.with_name(f"{audit.name}.restoring")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True, mode=0o700)
        for name, content in contents_of(source, "audit"):
            with (beside / Path(name).name).open("xb") as journal:
                for chunk in _chunks(content):
                    journal.write(chunk)
                journal.flush()
                os.fsync(journal.fileno())
            (beside / Path(name).name).chmod(0o600)
    except OSError as error:
        raise StoreUnavailable("the audit journals cannot be written", where="audit") from error
    return beside
