"""Restore: a backup into an empty database and folder, verified before and after."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from gateway.errors import InvalidRequest
from gateway.store import schema
from gateway.store.backup import (
    BackupError,
    Manifest,
    contents_of,
    empty,
    rows_of,
    verify,
)
from gateway.store.database import Database
from gateway.store.files import Files
from gateway.store.tables import metadata

_CHUNK = 1 << 20


def restore(database: Database, files: Files, audit: Path, source: Path) -> Manifest:
    """Put back what a backup holds, in one transaction, and bring its schema up to date.

    Raises BackupError when it is not sound (before anything is changed) or did not arrive whole,
    and InvalidRequest when the database or the folder of journals is not empty.
    """
    manifest = verify(source)
    if audit.is_dir() and any(audit.iterdir()):
        raise InvalidRequest("the folder of audit journals is not empty", where=str(audit.name))
    _prepare(database, manifest)
    for digest, content in contents_of(source, "files"):
        if files.keep(_chunks(content)) != digest:
            raise BackupError("it is not what was written", where=f"files/{digest}")
    with database.write() as connection:
        _put_rows(connection, source)
        _count(connection, manifest)
        _set_sequences(connection)
    _put_journals(audit, source)
    schema.upgrade(database)
    return manifest


def _prepare(database: Database, manifest: Manifest) -> None:
    """Give an empty database the schema that the backup was taken from."""
    if manifest.revision not in schema.revisions():
        raise BackupError("it is of a newer release", where="manifest.json")
    with database.read() as connection:
        present = schema.revision(connection)
        if present and (present != manifest.revision or not empty(connection)):
            raise InvalidRequest("the database is not empty, or of another schema",
                                 where="database")  # fmt: skip
    if not present:
        schema.upgrade(database, manifest.revision)


def _chunks(content: IO[bytes]) -> Any:
    return iter(lambda: content.read(_CHUNK), b"")


def _put_rows(connection: Connection, source: Path) -> None:
    """Insert all rows; what points ahead in its own table is set once that row is there."""
    connection.execute(delete(metadata.tables["secret"]))
    ahead: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, rows in rows_of(source):
        table = metadata.tables[name]
        for column in _pointing_to_itself(table):
            for row in rows:
                if row[column] is not None and row[column] > row["key"]:
                    target = {"this_key": row["key"], "target": row[column]}
                    ahead.setdefault((name, column), []).append(target)
                    row[column] = None
        connection.execute(insert(table), rows)
    for (name, column), targets in ahead.items():
        query = text(f"UPDATE {name} SET {column} = :target WHERE key = :this_key")  # noqa: S608 - names of our own tables
        connection.execute(query, targets)


def _pointing_to_itself(table: Table) -> list[str]:
    return [
        column.name for column in table.columns
        for key in column.foreign_keys if key.column.table is table
    ]  # fmt: skip


def _count(connection: Connection, manifest: Manifest) -> None:
    for one in manifest.members:
        if not one.name.startswith("tables/"):
            continue
        name = one.name.removeprefix("tables/").removesuffix(".ndjson")
        query = select(func.count()).select_from(metadata.tables[name])
        if connection.execute(query).scalar() != one.rows:
            raise BackupError("not every row arrived", where=one.name)


def _set_sequences(connection: Connection) -> None:
    """PostgreSQL numbers on from the highest key; SQLite does so by itself."""
    if connection.dialect.name == "sqlite":
        return
    for table in metadata.sorted_tables:
        key = table.columns.get("key")
        if key is not None and key.autoincrement is True:
            connection.execute(text(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'key'),"  # noqa: S608 - names of our own tables
                f" coalesce(max(key), 1), max(key) IS NOT NULL) FROM {table.name}"
            ))  # fmt: skip


def _put_journals(audit: Path, source: Path) -> None:
    audit.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in contents_of(source, "audit"):
        path = audit / Path(name).name
        with path.open("xb") as journal:
            for chunk in _chunks(content):
                journal.write(chunk)
            journal.flush()
            os.fsync(journal.fileno())
        path.chmod(0o600)
