"""The sealer: what processes appended goes under the next seals, and into the index.

Several may try, on several hosts: one transaction holds a seal, its entries and how far the
segment is sealed, so that a kill at any point leaves either all of them or none. A line that is
torn, and all after a line that is wrong, is left for `check` to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.audit.entries import Line, concern, index
from gateway.store.audit.event import START, Event, claimed, follows, read_sound
from gateway.store.audit.segments import (
    LINES,
    Segment,
    alone,
    announce,
    append,
    path_of,
    segments,
)
from gateway.store.database import Connection, Database
from gateway.store.tables import audit_segment

_LINES_AT_ONCE = 500
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Sound lines that follow what is sealed of a segment."""

    lines: tuple[Line, ...]
    count: int
    high: int
    head: str
    digest: str


class Sealer:
    """Seals journals of a folder; `key` is what the seals are made with, if there is one."""

    def __init__(
        self, database: Database, folder: Path, clock: Callable[[], int], key: bytes = b""
    ) -> None:
        self._database, self._folder, self._clock, self._key = database, folder, clock, key

    def seal(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Seal what there is, until done or stopping; returns how many lines.

        Raises StoreUnavailable. What another sealer is faster with is left to that one.
        """
        done = 0
        with self._database.read() as connection:
            known = [one for one in segments(connection) if not one.purged]
        for one in known:
            for count in self._seal_segment(one, stopping):
                done += count
        return done

    def adopt(self) -> int:
        """Announce files that no process announced, such as those of an older release."""
        with self._database.read() as connection:
            known = {one.name for one in segments(connection)}
        found = sorted(path.stem for path in self._folder.glob("*.ndjson"))
        strange = [name for name in found if name not in known]
        for name in strange:
            announce(self._database, name, self._clock(), "")
        return len(strange)

    def _seal_segment(self, segment: Segment, stopping: Callable[[], bool]) -> Iterator[int]:
        path, current = path_of(self._folder, segment), segment
        while not stopping():
            batch = read_batch(path, current)
            if batch is None:
                return
            try:
                sealed = self._seal_batch(current, batch)
            except VersionConflict:
                return
            if sealed is None:
                return
            yield batch.count
            current = sealed

    def _seal_batch(self, segment: Segment, batch: Batch) -> Segment | None:
        # Read before the transaction: on SQLite everybody else waits for it.
        with self._database.read() as connection:
            about = concern(connection, [line.event for line in batch.lines])
        with self._database.write() as connection:
            if not alone(connection) or not _advance(connection, segment, batch):
                return None
            append(
                connection, segment, LINES, batch.high, batch.count, batch.digest, self._clock(),
                self._key,
            )  # fmt: skip
            index(connection, segment.key, batch.lines, about)
        return Segment(
            segment.key, segment.name, batch.high, segment.lines + batch.count, batch.head, False
        )


def _advance(connection: Connection, segment: Segment, batch: Batch) -> bool:
    mine = (
        update(audit_segment)
        .where(audit_segment.c.key == segment.key, audit_segment.c.sealed == segment.sealed)
        .where(audit_segment.c.purged_at.is_(None))
        .values(sealed=batch.high, lines=segment.lines + batch.count, head=batch.head)
    )
    return connection.execute(mine).rowcount == 1


def read_batch(path: Path, segment: Segment) -> Batch | None:
    """Read the next sound lines after what is sealed; None when there are none.

    Raises StoreUnavailable when the file cannot be read; one that is not there has none.
    """
    lines: list[Line] = []
    low, head, count = segment.sealed, segment.head if segment.lines else START, 0
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            file.seek(low)
            for line in file:
                if not follows(head, line):
                    break
                # One that nobody understands is sealed, and missing in the index: `check` tells.
                event = read_sound(line)
                if isinstance(event, Event):
                    lines.append(Line(low, len(line), event))
                total.update(line)
                low, head, count = low + len(line), claimed(line), count + 1
                if count == _LINES_AT_ONCE or low - segment.sealed > _BYTES_AT_ONCE:
                    break
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable("the audit journal cannot be read") from error
    return Batch(tuple(lines), count, low, head, total.hexdigest()) if count else None
