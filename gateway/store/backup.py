"""Backup: every table in one consistent view, the files it names, and the audit journals.

It is portable: what one database wrote, the other reads. The tables are taken as the database
has them, so that a backup can be made before its schema is upgraded.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, LargeBinary, Table, select

from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.store import schema
from gateway.store.archive import (
    FORMAT,
    BackupError,
    Kept,
    Manifest,
    Member,
    Total,
    add,
    add_manifest,
    line_of,
    verify,
)
from gateway.store.audit.segments import segments
from gateway.store.database import Database, now_micros
from gateway.store.files import Files

__all__ = ["BackupError", "Manifest", "backup", "verify"]

_ROWS_AT_ONCE = 500
# A message may have 50 MB: of rows with bytes only so many are in memory.
_LARGE_ROWS_AT_ONCE = 4
_COMPRESSION = 4


def backup(database: Database, files: Files, audit: Path, target: Path) -> Manifest:
    """Write a backup while everything goes on; it has its name once it is complete and verified.

    Compressed when its name ends in `.gz`. Raises InvalidRequest when there is such a file,
    StoreUnavailable, NotFound when a file that the database names is missing, and BackupError
    when its content is not what it was.
    """
    if target.exists():
        raise InvalidRequest("there is such a file already", where=target.name)
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
            written = Path(folder) / "backup"
            manifest = _written(written, target.name.endswith(".gz"), database, files, audit)
            if verify(written) != manifest:
                raise BackupError("it is not what was written", where=target.name)
            written.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreUnavailable("the backup cannot be written", where=target.name) from error
    return manifest


def _written(
    path: Path, compressed: bool, database: Database, files: Files, audit: Path
) -> Manifest:
    with path.open("xb") as raw:
        path.chmod(0o600)
        with _stream(raw, compressed) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
            manifest = _write(tar, path.parent, database, files, audit)
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


@contextmanager
def _stream(raw: IO[bytes], compressed: bool) -> Iterator[IO[bytes]]:
    if not compressed:
        yield raw
        return
    with gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as stream:
        yield stream  # type: ignore[misc] # it is one in all but its class


def _write(
    tar: tarfile.TarFile, folder: Path, database: Database, files: Files, audit: Path
) -> Manifest:
    taken_at = now_micros()
    with database.snapshot() as connection:
        revision = schema.revision(connection)
        if not revision:
            raise InvalidRequest("the database has no schema", where="database")
        tables = schema.tables(connection)
        members = [_add_table(tar, connection, one, folder) for one in tables.values()]
        kept = _add_files(tar, connection, tables["file"], files)
        expected = _segments(connection, tables)
    for journal in sorted(audit.glob("*.ndjson")) if audit.is_dir() else ():
        # It grows meanwhile: what is there now is taken.
        with journal.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            members.append(add(tar, f"audit/{journal.name}", content, size))
            expected.discard(journal.name)
    if purged := _purged(database, expected):
        raise BackupError("a journal was purged meanwhile: take the backup again", where=purged)
    manifest = Manifest(FORMAT, revision, taken_at, tuple(members), kept)
    add_manifest(tar, manifest)
    return manifest


def _purged(database: Database, missing: set[str]) -> str:
    """Name one of these journals that was purged since; what else is missing, audit tells."""
    if not missing:
        return ""
    with database.read() as connection:
        return next((one.file for one in segments(connection) if one.purged
                     and one.file in missing), "")  # fmt: skip


def _segments(connection: Connection, tables: dict[str, Table]) -> set[str]:
    """Return the files that the seals of this very view are over."""
    table = tables.get("audit_segment")
    if table is None:  # taken before an upgrade
        return set()
    query = select(table.c.name).where(table.c.purged_at.is_(None), table.c.sealed > 0)
    return {f"{name}.ndjson" for name in connection.execute(query).scalars()}


def _add_table(tar: tarfile.TarFile, connection: Connection, table: Table, folder: Path) -> Member:
    """Write a table; beside the backup first, since its size must be known before."""
    with tempfile.TemporaryFile(dir=folder) as lines:
        columns = [column.name for column in table.columns]
        lines.write(line_of(columns))
        total = Total()
        for line in lines_of(connection, table, columns):
            lines.write(line)
            total.add(hashlib.sha256(line).digest())
        size = lines.tell()
        lines.seek(0)
        member = add(tar, f"tables/{table.name}.ndjson", lines, size)
    return Member(member.name, member.size, member.digest, total.count, total.text)


def lines_of(connection: Connection, table: Table, columns: list[str]) -> Iterator[bytes]:
    """Yield each row of a table as it is written, by its key."""
    large = any(isinstance(column.type, LargeBinary) for column in table.columns)
    query = select(*(table.c[name] for name in columns)).order_by(*table.primary_key.columns)
    several = query.execution_options(yield_per=_LARGE_ROWS_AT_ONCE if large else _ROWS_AT_ONCE)
    with connection.execute(several) as found:
        for row in found:
            yield line_of(row)


def _add_files(tar: tarfile.TarFile, connection: Connection, table: Table, files: Files) -> Kept:
    total, sizes = Total(), 0
    query = select(table.c.digest, table.c.size).execution_options(yield_per=_ROWS_AT_ONCE)
    with connection.execute(query) as stored:
        for digest, size in stored:
            with files.open(digest, size) as content:
                member = add(tar, f"files/{digest}", content, size)
            if member.digest != digest:
                raise BackupError("a stored file is not what it was", where=member.name)
            total.add(bytes.fromhex(digest))
            sizes += size
    return Kept(total.count, sizes, total.text)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
