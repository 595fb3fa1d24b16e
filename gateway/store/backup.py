"""Backup: every table in one consistent view, the files it names, and the audit journals.

One tar file: `tables/<name>.ndjson` (the names of the columns, then a JSON list for each row,
bytes in base64), `files/<digest>`, `audit/<journal>` and, last, `manifest.json` with the count
and SHA-256 of each. It is portable: what one database wrote, the other reads.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from sqlalchemy import Connection, Table, select, text

from gateway.errors import GatewayError
from gateway.store import schema
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.tables import file, metadata

FORMAT = 1
_ROWS_AT_ONCE = 200
_CHUNK = 1 << 20


class BackupError(GatewayError):
    """The backup cannot be used."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the tar: its name, how many bytes, their SHA-256, rows of a table."""

    name: str
    size: int
    digest: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `revision` is that of its schema, `taken_at` in micros since 1970."""

    format: int
    revision: str
    taken_at: int
    members: tuple[Member, ...]

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(one.rows for one in self.members)


def backup(database: Database, files: Files, audit: Path, target: Path) -> Manifest:
    """Write a backup while everything goes on; the file has its name once it is complete.

    Raises StoreUnavailable, NotFound when a file that the database names is missing, and
    BackupError when its content is not what it was.
    """
    handle, name = tempfile.mkstemp(prefix=".backup-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w") as tar:
                manifest = _write(tar, database, files, audit)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def _write(tar: tarfile.TarFile, database: Database, files: Files, audit: Path) -> Manifest:
    members: list[Member] = []
    taken_at = now_micros()
    with database.snapshot() as connection:
        revision = schema.revision(connection)
        for table in metadata.sorted_tables:
            members.append(_add_table(tar, connection, table))
        with connection.execute(select(file.c.digest, file.c.size)) as stored:
            members += [_add_file(tar, files, digest, size) for digest, size in stored]
    for journal in sorted(audit.glob("*")) if audit.is_dir() else ():
        # It grows meanwhile: what is there now is taken.
        with journal.open("rb") as content:
            members.append(_add(tar, f"audit/{journal.name}", content, journal.stat().st_size))
    manifest = Manifest(FORMAT, revision, taken_at, tuple(members))
    written = orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2)
    _add(tar, "manifest.json", io.BytesIO(written), len(written))
    return manifest


def _add_table(tar: tarfile.TarFile, connection: Connection, table: Table) -> Member:
    rows = 0
    with tempfile.TemporaryFile() as lines:
        lines.write(orjson.dumps([column.name for column in table.columns]) + b"\n")
        query = select(table).order_by(*table.primary_key.columns)
        with connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query) as found:
            for row in found:
                lines.write(orjson.dumps([_plain(value) for value in row]) + b"\n")
                rows += 1
        size = lines.tell()
        lines.seek(0)
        member = _add(tar, f"tables/{table.name}.ndjson", lines, size)
    return Member(member.name, member.size, member.digest, rows)


def _add_file(tar: tarfile.TarFile, files: Files, digest: str, size: int) -> Member:
    with files.open(digest, size) as content:
        member = _add(tar, f"files/{digest}", content, size)
    if member.digest != digest:
        raise BackupError("a stored file is not what it was", where=member.name)
    return member


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return value


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> Member:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    counting = _Counting(content)
    tar.addfile(entry, counting)
    return Member(name, size, counting.digest.hexdigest())


class _Counting:
    """Reads on, and digests what was read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self.digest.update(data)
        return data


def verify(source: Path) -> Manifest:
    """Read a whole backup and return its manifest; raises BackupError where it is not sound."""
    try:
        manifest, found = _survey(source)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BackupError("it cannot be read as a backup", where=source.name) from error
    if manifest is None:
        raise BackupError("it has no manifest: it was cut short", where=source.name)
    _compare(manifest, found)
    return manifest


def _survey(source: Path) -> tuple[Manifest | None, dict[str, tuple[int, str, int]]]:
    """Read every member once: its size, its digest and how many lines it has."""
    found: dict[str, tuple[int, str, int]] = {}
    manifest = None
    with tarfile.open(source) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is None:
                raise BackupError("a member is no file", where=entry.name)
            if entry.name == "manifest.json":
                manifest = _manifest(content.read())
                continue
            digest, lines = hashlib.sha256(), 0
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                lines += chunk.count(b"\n")
            found[entry.name] = (entry.size, digest.hexdigest(), lines)
    return manifest, found


def _manifest(written: bytes) -> Manifest:
    try:
        given = orjson.loads(written)
        members = tuple(Member(**one) for one in given.pop("members"))
        manifest = Manifest(**given, members=members)
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise BackupError("it cannot be read", where="manifest.json") from error
    if manifest.format != FORMAT:
        raise BackupError("it is of a format that this release does not read",
                          where="manifest.json")  # fmt: skip
    return manifest


def _compare(manifest: Manifest, found: dict[str, tuple[int, str, int]]) -> None:
    for one in manifest.members:
        size, digest, lines = found.pop(one.name, (-1, "", 0))
        rows = lines - 1 if one.name.startswith("tables/") else 0
        if (size, digest, rows) != (one.size, one.digest, one.rows):
            raise BackupError("it is missing or not what was written", where=one.name)
    for name in found:
        raise BackupError("the manifest does not know it", where=name)


def rows_of(source: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (table, some of its rows) of a verified backup, in the order they were written."""
    with tarfile.open(source) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is None or not entry.name.startswith("tables/"):
                continue
            name = entry.name.removeprefix("tables/").removesuffix(".ndjson")
            columns = orjson.loads(content.readline())
            batch: list[dict[str, Any]] = []
            for line in content:
                values = map(_value, orjson.loads(line))
                batch.append(dict(zip(columns, values, strict=True)))
                if len(batch) == _ROWS_AT_ONCE:
                    yield name, batch
                    batch = []
            if batch:
                yield name, batch


def contents_of(source: Path, kind: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, content) of the members below `files` or `audit`."""
    with tarfile.open(source) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None and entry.name.startswith(f"{kind}/"):
                yield entry.name.removeprefix(f"{kind}/"), content


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def empty(connection: Connection) -> bool:
    """Whether no table holds a row; what the first start writes by itself does not count."""
    for table in metadata.sorted_tables:
        if table.name != "secret" and connection.execute(select(text("1")).select_from(table)
                                                         .limit(1)).first():  # fmt: skip
            return False
    return True
