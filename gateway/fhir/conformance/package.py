"""FHIR packages (npm layout): those that came with the gateway, and those that were installed.

Of a package only its definitions are kept, joined in one file of ours under its checked name and
version: nothing in an archive ever becomes a path. Nothing is downloaded.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import orjson

from gateway.errors import InvalidValue, NotFound
from gateway.fhir.conformance.definitions import KINDS, Definitions

Json = dict[str, Any]

LARGEST_FILE = 50_000_000
LARGEST_PACKAGE = 600_000_000
MOST_FILES = 50_000
_MANIFEST = "package.json"
_DEFINITIONS = "definitions.ndjson"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*").fullmatch
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]*").fullmatch
_LONGEST = 100
_R4 = ("4.0", "4.3")


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package and how many definitions it holds."""

    name: str
    version: str
    definitions: int


def shipped_folder() -> Path:
    """Return the folder of our own profiles: in the installed package, or in a checkout."""
    packaged = Path(__file__).parents[2] / "profiles"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "profiles"


def load_definitions(store: Path) -> Definitions:
    """Read our own definitions and all that is installed under `store`."""
    return Definitions([*_shipped(shipped_folder()), *_installed(store)])


def _shipped(folder: Path) -> Iterator[Json]:
    # A folder below holds the definitions of one package, or something else: examples, sources.
    for path in sorted([*folder.glob("*-*.*.*/*.json"), *folder.glob("*.json")]):
        yield orjson.loads(path.read_bytes())


def _installed(store: Path) -> Iterator[Json]:
    for folder in _folders(store):
        with (folder / _DEFINITIONS).open("rb") as lines:
            for line in lines:
                yield orjson.loads(line)


def _folders(store: Path) -> list[Path]:
    return sorted(path.parent for path in store.glob(f"*/{_DEFINITIONS}"))


def installed(store: Path) -> list[Package]:
    """List what is installed."""
    made: list[Package] = []
    for folder in _folders(store):
        name, _, version = folder.name.partition("@")
        with (folder / _DEFINITIONS).open("rb") as lines:
            made.append(Package(name, version, sum(1 for _ in lines)))
    return made


def install(source: str, store: Path, cache: Path) -> Package:
    """Install a package file, an unpacked package, or `name@version` from a cache folder.

    Raises InvalidValue for what is no FHIR R4 package, NotFound for what is not there.
    """
    path = Path(source)
    if path.is_dir():
        return _keep(_of_folder(path), store)
    if path.is_file():
        return _keep(_of_archive(path), store)
    name, at, version = source.partition("@")
    if not at:
        raise NotFound("there is no such file or folder", where=source)
    _checked(name, version)
    cached = cache / f"{name}#{version}"
    if not cached.is_dir():
        raise NotFound(
            f"not in the package cache ({cache}); nothing is downloaded: give the package's file",
            where=source,
        )
    return _keep(_of_folder(cached), store)


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    inner = folder / "package" if (folder / "package").is_dir() else folder
    for path in sorted(inner.glob("*.json")):
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            raise InvalidValue("not a file, or too large", where=path.name)
        yield path.name, path.read_bytes()


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Read the files of an archive in one pass, within limits; raises InvalidValue."""
    try:
        with tarfile.open(path, "r|gz") as archive:
            yield from _members(archive)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InvalidValue("not a readable .tgz archive", where=path.name) from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    total = 0
    for count, member in enumerate(archive, 1):
        total += member.size
        if count > MOST_FILES or total > LARGEST_PACKAGE or member.size > LARGEST_FILE:
            raise InvalidValue("larger than a FHIR package may be", where="archive")
        place = PurePosixPath(member.name)
        if place.is_absolute() or ".." in place.parts or "\\" in member.name:
            raise InvalidValue("has a file outside its own folder", where="archive")
        if not (member.isfile() or member.isdir()):
            raise InvalidValue("has a link or a device", where="archive")
        if member.isfile() and place.parent == PurePosixPath("package"):
            yield from _content(archive.extractfile(member), place.name)


def _content(opened: IO[bytes] | None, name: str) -> Iterator[tuple[str, bytes]]:
    if opened is not None and name.endswith(".json"):
        with closing(opened):
            yield name, opened.read()


def _keep(files: Iterable[tuple[str, bytes]], store: Path) -> Package:
    manifest: Json | None = None
    definitions: list[bytes] = []
    for name, content in files:
        read = _read(name, content)
        if name == _MANIFEST:
            manifest = read
        elif read.get("resourceType") in KINDS and isinstance(read.get("url"), str):
            definitions.append(orjson.dumps(_without_text(read)))
    if manifest is None:
        raise InvalidValue("there is no package.json: not a FHIR package", where="package")
    package = _described(manifest, len(definitions))
    folder = store / f"{package.name}@{package.version}"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{_DEFINITIONS}.part"
    unfinished.write_bytes(b"".join(one + b"\n" for one in definitions))
    unfinished.replace(folder / _DEFINITIONS)
    return package


def _read(name: str, content: bytes) -> Json:
    try:
        read = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidValue("is not JSON", where=name) from error
    return read if isinstance(read, dict) else {}


def _without_text(given: Json) -> Json:
    return {name: value for name, value in given.items() if name not in ("text", "mapping")}


def _described(manifest: Json, count: int) -> Package:
    name, version = manifest.get("name"), manifest.get("version")
    _checked(name, version)
    given = manifest.get("fhirVersions") or manifest.get("fhir-version-list") or ["4.0.1"]
    if not any(str(one).startswith(_R4) for one in given):
        raise InvalidValue("is a package of another FHIR version than R4", where=_MANIFEST)
    if not count:
        raise InvalidValue("holds no definitions", where="package")
    return Package(str(name), str(version), count)


def _checked(name: Any, version: Any) -> None:
    for value, allowed in ((name, _NAME), (version, _VERSION)):
        if not isinstance(value, str) or len(value) > _LONGEST or not allowed(value):
            raise InvalidValue("not a package's name and version", where="package")
