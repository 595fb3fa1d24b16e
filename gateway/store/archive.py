"""The file of a backup: a tar that proves its own content.

`tables/<name>.ndjson` (the names of the columns, then a JSON list for each row, bytes in base64),
`files/<digest>`, `audit/<journal>` and, last, `manifest.json` with the count and a digest of all
of them. What is written and read is never in memory as a whole.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from gateway.errors import GatewayError

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_ROWS_AT_ONCE = 500
_BYTES_AT_ONCE = 8 << 20
_MODULUS = 1 << 256


class BackupError(GatewayError):
    """The backup cannot be used."""


@dataclass(frozen=True, slots=True)
class Member:
    """A table or a journal: its name, its bytes, their SHA-256; of a table its rows.

    `total` is the sum of the SHA-256 of each row, modulo 2^256: the same in whatever order
    a database returns them.
    """

    name: str
    size: int
    digest: str
    rows: int = 0
    total: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """All stored files: how many, their bytes, and the sum of their digests, modulo 2^256."""

    count: int = 0
    size: int = 0
    total: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `revision` is that of its schema, `taken_at` in micros since 1970."""

    format: int
    revision: str
    taken_at: int
    members: tuple[Member, ...]
    files: Kept

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(one.rows for one in self.members)

    @property
    def tables(self) -> dict[str, Member]:
        """The tables, by name."""
        found = (one for one in self.members if one.name.startswith("tables/"))
        return {table_name(one.name): one for one in found}


class Total:
    """Adds up digests, in any order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, digest: bytes) -> None:
        """Add a SHA-256."""
        self.count += 1
        self._sum = (self._sum + int.from_bytes(digest)) % _MODULUS

    @property
    def text(self) -> str:
        """The sum, in hexadecimal."""
        return f"{self._sum:064x}"


class Counted:
    """Reads on, and counts and digests what was read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read from the content."""
        data = self._content.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> str:
        """The SHA-256 of what was read."""
        return self._digest.hexdigest()


def line_of(row: Any) -> bytes:
    """Write a row: a JSON list, with bytes in base64."""
    return orjson.dumps([_plain(value) for value in row]) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return value


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def table_name(member: str) -> str:
    """Return the table that a member holds."""
    return member.removeprefix("tables/").removesuffix(".ndjson")


def add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> Member:
    """Write a member of just so many bytes; raises BackupError when there are fewer."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    counted = Counted(content)
    try:
        tar.addfile(entry, counted)
    except OSError as error:
        if counted.size < size and not error.errno:
            raise BackupError("it is shorter than it was", where=name) from error
        raise
    _forget(tar)
    return Member(name, size, counted.digest)


def _forget(tar: tarfile.TarFile) -> None:
    """Let it not remember each of a million members; it keeps them for `getmembers`."""
    tar.members.clear()  # type: ignore[attr-defined] # not in its stub


def add_manifest(tar: tarfile.TarFile, manifest: Manifest) -> None:
    """Write the manifest, the last member."""
    written = orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2)
    add(tar, _MANIFEST, io.BytesIO(written), len(written))


def verify(source: Path) -> Manifest:
    """Read a whole backup and return its manifest; raises BackupError where it is not sound."""
    with _sound(source):
        return _verified(source)


def _verified(source: Path) -> Manifest:
    members: list[Member] = []
    files, size, manifest = Total(), 0, None
    for name, content in _each(source):
        if manifest is not None:
            raise BackupError("something follows the manifest", where=name)
        if name == _MANIFEST:
            manifest = _manifest(content.read())
        elif name.startswith("files/"):
            size += _checked_file(name, content)
            files.add(bytes.fromhex(name.removeprefix("files/")))
        else:
            members.append(_read(name, content))
    if manifest is None:
        raise BackupError("it has no manifest: it was cut short", where=source.name)
    found = Kept(files.count, size, files.text)
    _compare(manifest, {one.name: one for one in members}, found)
    return manifest


def _each(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield each member."""
    with tarfile.open(source) as tar:
        while (entry := tar.next()) is not None:
            _forget(tar)
            content = tar.extractfile(entry)
            if content is None or not entry.isreg():
                raise BackupError("a member is no file", where=entry.name)
            yield entry.name, content


@contextmanager
def _sound(source: Path) -> Iterator[None]:
    """Turn what the libraries say of a broken file into BackupError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BackupError("it cannot be read as a backup", where=source.name) from error


def _checked_file(name: str, content: IO[bytes]) -> int:
    counted = Counted(content)
    while counted.read(_CHUNK):
        pass
    if f"files/{counted.digest}" != name:
        raise BackupError("it is not what was written", where=name)
    return counted.size


def _read(name: str, content: IO[bytes]) -> Member:
    counted, total = Counted(content), Total()
    if not name.startswith("tables/"):
        while counted.read(_CHUNK):
            pass
        return Member(name, counted.size, counted.digest)
    for number, line in enumerate(io.BufferedReader(_Raw(counted), _CHUNK)):
        if number:
            total.add(hashlib.sha256(line).digest())
    return Member(name, counted.size, counted.digest, total.count, total.text)


class _Raw(io.RawIOBase):
    """Lets what counts its bytes be read by lines."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._counted.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _manifest(written: bytes) -> Manifest:
    try:
        given = orjson.loads(written)
        members = tuple(Member(**one) for one in given.pop("members"))
        manifest = Manifest(**{**given, "members": members, "files": Kept(**given["files"])})
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise BackupError("it cannot be read", where=_MANIFEST) from error
    if manifest.format != FORMAT:
        raise BackupError("it is of a format that this release does not read", where=_MANIFEST)
    return manifest


def _compare(manifest: Manifest, found: dict[str, Member], files: Kept) -> None:
    for one in manifest.members:
        if found.pop(one.name, None) != one:
            raise BackupError("it is missing or not what was written", where=one.name)
    for name in found:
        raise BackupError("the manifest does not know it", where=name)
    if files != manifest.files:
        raise BackupError("stored files are missing, or others were added", where="files")


def rows_of(source: Path) -> Iterator[tuple[str, list[str], list[dict[str, Any]]]]:
    """Yield (table, its columns, some of its rows) of a verified backup, as they were written."""
    with _sound(source):
        for name, content in _each(source):
            if name.startswith("tables/"):
                columns = orjson.loads(content.readline())
                for rows in _batches(columns, content):
                    yield table_name(name), columns, rows


def _batches(columns: list[str], lines: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        batch.append(dict(zip(columns, map(_value, orjson.loads(line)), strict=True)))
        size += len(line)
        if len(batch) == _ROWS_AT_ONCE or size > _BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def contents_of(source: Path, kind: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, content) of the members below `files` or `audit` of a verified backup."""
    with _sound(source):
        for name, content in _each(source):
            if name.startswith(f"{kind}/"):
                yield name.removeprefix(f"{kind}/"), content
