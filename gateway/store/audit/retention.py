"""Retention of the audit: whole segments go, their seals and a seal of the purge stay."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import update

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.audit.entries import forget
from gateway.store.audit.segments import PURGE, Segment, alone, append, path_of, segments
from gateway.store.database import Database
from gateway.store.tables import audit_segment

_BATCH = 2000
_DAY = 86_400_000_000
_PAUSE_SECONDS = 0.05


def purge_audit(
    database: Database, folder: Path, days: int, now: int, key: bytes,
    stopping: Callable[[], bool] = lambda: False,
) -> int:  # fmt: skip
    """Remove segments whose last line is older than so many days; returns how many.

    0 days is for ever. One that is not sealed to its end, or that a process may still write to,
    stays. Raises StoreUnavailable.
    """
    if not days:
        return 0
    with database.read() as connection:
        known = list(segments(connection))
    done = 0
    for segment in known:
        if stopping():
            break
        path = path_of(folder, segment)
        if segment.purged:
            path.unlink(missing_ok=True)  # a purge was killed before it came to this
        elif _is_old(path, segment, now - days * _DAY):
            done += _purge(database, path, segment, now, key)
    return done


def _is_old(path: Path, segment: Segment, before: int) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False  # `check` tells
    return found.st_size == segment.sealed and found.st_mtime_ns // 1000 < before


def _purge(database: Database, path: Path, segment: Segment, now: int, key: bytes) -> bool:
    with _nobody_writes(path) as idle:
        if not idle or path.stat().st_size != segment.sealed:
            return False
        try:
            _forget(database, segment)
            if not _note(database, segment, now, key):
                return False
        except VersionConflict:
            return False
        path.unlink()
    return True


def _forget(database: Database, segment: Segment) -> None:
    """Empty the index little by little: others write in between."""
    left = _BATCH
    while left:
        with database.write() as connection:
            left = forget(connection, segment.key, _BATCH)
        time.sleep(_PAUSE_SECONDS)


def _note(database: Database, segment: Segment, now: int, key: bytes) -> bool:
    with database.write() as connection:
        if not alone(connection):
            return False
        mine = update(audit_segment).where(
            audit_segment.c.key == segment.key, audit_segment.c.purged_at.is_(None)
        )
        if not connection.execute(mine.values(purged_at=now)).rowcount:
            return False
        append(connection, segment, PURGE, segment.sealed, segment.lines, segment.head, now, key)
    return True


@contextmanager
def _nobody_writes(path: Path) -> Iterator[bool]:
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
    except FileNotFoundError:
        yield False
    except OSError as error:
        raise StoreUnavailable("the audit journal cannot be purged") from error
