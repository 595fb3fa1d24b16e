"""Is the audit as it was written? Every line, every seal, every file; in bounded memory.

What cannot be told: lines that were never sealed and were cut off at the end of a file that has
no successor (a killed process leaves the same), and a chain of seals that was cut at its end or
made anew as a whole, unless its head was kept elsewhere or seals are made with a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import StoreUnavailable
from gateway.store.audit.entries import count
from gateway.store.audit.event import START, Head, claimed, follows, read_sound
from gateway.store.audit.segments import (
    LINES,
    PURGE,
    Seal,
    Segment,
    path_of,
    seals,
    segments,
)
from gateway.store.database import Connection, Database

_WINDOW = 1000
_CHUNK = 1 << 20
_TEXTS = {
    "altered": "this line was changed, or what stood before it is gone",
    "dropped": "lines that were sealed are gone before this one",
    "inserted": "this line was put in",
    "reordered": "this line was moved here",
    "torn": "the last line is not whole: a process was killed",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: altered, dropped, inserted, reordered, missing, torn, index.

    `line` counts from 1; 0 is the whole file, or of a `seal` its number.
    """

    what: str
    file: str
    line: int
    text: str

    @property
    def tampering(self) -> bool:
        """Whether somebody did this: a line that a killed process left torn is no tampering."""
        return self.what != "torn"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head of the chain that was kept elsewhere."""

    number: int
    seal: str


def check(
    database: Database, folder: Path, key: bytes = b"", anchor: Anchor | None = None
) -> Iterator[Fault]:
    """Yield everything that is wrong. Raises StoreUnavailable where a file cannot be read."""
    with database.snapshot() as connection:
        reach: dict[str, int] = {}
        purged: set[str] = set()
        yield from _check_chain(connection, key, anchor, reach, purged)
        known = {one.name: one for one in segments(connection)}
        ends: dict[str, str] = {}
        for segment in known.values():
            if segment.sealed != reach.get(segment.name, 0):
                yield Fault("altered", segment.file, 0, "it is not sealed as far as its seals say")
            if segment.purged and segment.name not in purged:
                yield Fault("missing", segment.file, 0, "no seal says that it was purged")
            if not segment.purged:
                yield from _check_segment(connection, folder, segment, known, ends)
    yield from _strangers(database, folder, known)


def _check_chain(
    connection: Connection, key: bytes, anchor: Anchor | None, reach: dict[str, int],
    purged: set[str],
) -> Iterator[Fault]:  # fmt: skip
    """Check the seals themselves; `reach` and `purged` are filled with what they say."""
    before, anchored = None, anchor is None
    for seal in seals(connection):
        yield from _check_seal(seal, before, key, reach)
        reach[seal.segment] = seal.high
        if seal.kind == PURGE:
            purged.add(seal.segment)
        before = seal
        anchored |= anchor == Anchor(seal.number, seal.seal)
    if not anchored:
        yield Fault("altered", "seals", anchor.number if anchor else 0,
                    "the chain does not hold the head that was kept")  # fmt: skip


def _check_seal(
    seal: Seal, before: Seal | None, key: bytes, reach: dict[str, int]
) -> Iterator[Fault]:
    number = before.number + 1 if before else 1
    if seal.number != number:
        yield Fault("missing", "seals", number, "a seal is gone from the chain")
    elif seal.previous != (before.seal if before else START):
        yield Fault("altered", "seals", number, "it does not follow the seal before")
    elif not seal.keyed and before is not None and before.keyed:
        yield Fault("altered", "seals", number, "it was made without the key")
    elif seal.keyed and not key:
        yield Fault("altered", "seals", number, "it cannot be checked without the key")
    elif seal.sum(key) != seal.seal:
        yield Fault(
            "altered",
            "seals",
            number,
            "it is not what was sealed, or the folder of keys is another",
        )
    elif seal.kind == LINES and seal.low != reach.get(seal.segment, 0):
        yield Fault("altered", "seals", number, "it does not begin where the last one ended")


def _check_segment(
    connection: Connection, folder: Path, segment: Segment, known: dict[str, Segment],
    ends: dict[str, str],
) -> Iterator[Fault]:  # fmt: skip
    path = path_of(folder, segment)
    if not path.is_file():
        yield Fault("missing", segment.file, 0, "the file is gone")
        return
    try:
        found = list(_check_file(connection, path, segment, ends))
    except OSError as error:
        raise StoreUnavailable("the audit journal cannot be read", where=segment.file) from error
    yield from found
    before = known.get(segment.before)
    if segment.before and before is None:
        yield Fault("missing", f"{segment.before}.ndjson", 0, "nothing is known of this file")
    if not any(one.tampering for one in found):
        yield from _check_join(path, segment, before, ends)
        indexed, heads = count(connection, segment.key), _has_head(path)
        if indexed != max(segment.lines - heads, 0):
            yield Fault("index", segment.file, 0, f"{indexed} of its lines are in the index")


def _has_head(path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline()
    return isinstance(read_sound(line), Head)


def _check_join(
    path: Path, segment: Segment, before: Segment | None, ends: dict[str, str]
) -> Iterator[Fault]:
    """A segment names itself, and how the one before it ended."""
    with path.open("rb") as file:
        line = file.readline()
    head = read_sound(line)
    if not isinstance(head, Head):
        return
    if head.segment != segment.name:
        yield Fault("altered", segment.file, 1, "it is another file under this name")
    elif before is not None and ends.get(before.name, head.after) != head.after:
        yield Fault("dropped", before.file, 0, "its end is not the end that its successor names")


def _check_file(
    connection: Connection, path: Path, segment: Segment, ends: dict[str, str]
) -> Iterator[Fault]:
    broken, end, size, torn = first_broken(path)
    ends[segment.name] = end
    if broken is not None:
        lines = _lines(path) if broken.what == "altered" else segment.lines
        what = "dropped" if lines < segment.lines else broken.what
        yield Fault(what, segment.file, broken.line, _TEXTS[what])
        return
    if size < segment.sealed:
        yield Fault("dropped", segment.file, 0, "it is shorter than what was sealed of it")
        return
    if torn:
        yield Fault("torn", segment.file, torn, _TEXTS["torn"])
    for seal in seals(connection, segment.key):
        if seal.kind == LINES and _digest(path, seal) != seal.digest:
            text = f"bytes {seal.low} to {seal.high} are not what seal {seal.number} says"
            yield Fault("altered", segment.file, 0, text)
            return


def _digest(path: Path, seal: Seal) -> str:
    total, left = hashlib.sha256(), seal.high - seal.low
    with path.open("rb") as file:
        file.seek(seal.low)
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            total.update(chunk)
            left -= len(chunk)
    return total.hexdigest()


def first_broken(path: Path) -> tuple[Fault | None, str, int, int]:
    """Read one file: the first line that is wrong, the digest of the last sound one, the bytes
    up to the end of the last whole line, and the number of a torn last line or 0.
    """
    previous, size, number = START, 0, 0
    with path.open("rb") as file:
        for line in file:
            number += 1
            if not line.endswith(b"\n"):
                return None, previous, size, number
            if not follows(previous, line):
                fault = _diagnose(path, number, previous, line, file)
                return fault, previous, path.stat().st_size, 0
            previous, size = claimed(line), size + len(line)
    return None, previous, size, 0


def _diagnose(path: Path, number: int, previous: str, line: bytes, after: Iterator[bytes]) -> Fault:
    """Say what was done to the first line that is wrong, by what comes after it."""
    window = [one for _, one in zip(range(_WINDOW), after, strict=False)]
    following = window[0] if window else b""
    if any(follows(claimed(one), line) for one in window if claimed(one)):
        what = "reordered"
    elif following and follows(previous, following):
        what = "inserted"
    else:
        what = "altered"
    return Fault(what, path.name, number, _TEXTS[what])


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))


def _strangers(database: Database, folder: Path, known: dict[str, Segment]) -> Iterator[Fault]:
    """Find files that no process announced; one with its first line only harms nobody."""
    for path in sorted(folder.glob("*.ndjson")) if folder.is_dir() else ():
        if path.stem in known or not _says_anything(path):
            continue
        with database.read() as connection:  # announced since we looked
            if any(one.name == path.stem for one in segments(connection)):
                continue
        yield Fault("inserted", path.name, 0, "no process announced this file")


def _says_anything(path: Path) -> bool:
    with path.open("rb") as file:
        for line in file:
            if not isinstance(read_sound(line), Head):
                return True
    return False
