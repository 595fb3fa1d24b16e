"""What each door counted, per source: frames received = positive + negative + open.

A door (one run of one process) counts in memory and writes its sums as they stand, so that a
write done twice counts once. Acceptance never waits for it; a process that is killed loses what
it counted in the last seconds, never a message.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, text

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.database import Database, now_micros

log = logging.getLogger(__name__)

PAST = "past"
_COUNTS = ("received", "positive", "negative", "fragments")
_FLUSH_SECONDS = 2.0
_HEARTBEAT_SECONDS = 3600.0
_DAY = 86_400_000_000

_OWN = "SELECT source FROM tally WHERE door = :door"
_SET = text(
    "INSERT INTO tally (door, source, received, positive, negative, fragments, changed_at)"
    " VALUES (:door, :source, :received, :positive, :negative, :fragments, :now)"
    " ON CONFLICT (door, source) DO UPDATE SET received = excluded.received,"
    " positive = excluded.positive, negative = excluded.negative,"
    " fragments = excluded.fragments, changed_at = excluded.changed_at"
)
_ADD = text(
    "INSERT INTO tally (door, source, received, positive, negative, fragments, changed_at)"
    " VALUES (:past, :source, :received, :positive, :negative, :fragments, :changed_at)"
    " ON CONFLICT (door, source) DO UPDATE SET received = tally.received + excluded.received,"
    " positive = tally.positive + excluded.positive,"
    " negative = tally.negative + excluded.negative,"
    " fragments = tally.fragments + excluded.fragments, changed_at = excluded.changed_at"
)
_SILENT = text(
    "SELECT door FROM tally WHERE door <> :past GROUP BY door HAVING max(changed_at) < :before"
    " ORDER BY door"
)
_ROWS = (
    "SELECT source, received, positive, negative, fragments, changed_at FROM tally"
    " WHERE door = :door ORDER BY source"
)
_DROP = text("DELETE FROM tally WHERE door = :door AND source = :source")
_SUMS = text(
    "SELECT source, sum(received) AS received, sum(positive) AS positive,"
    " sum(negative) AS negative, sum(fragments) AS fragments,"
    " sum(CASE WHEN door <> :past AND changed_at < :before AND received > positive + negative"
    " THEN received - positive - negative ELSE 0 END) AS overdue"
    " FROM tally GROUP BY source ORDER BY source"
)

_Counts = dict[str, tuple[int, int, int, int]]
_NONE = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Tallied:
    """What all doors counted for one source.

    `overdue` of `open` wait at doors that have counted nothing of this source for too long.
    """

    source: str
    received: int
    positive: int
    negative: int
    fragments: int
    overdue: int

    @property
    def open(self) -> int:
        """Frames that have had no answer: in hand, or the sender was gone before its answer."""
        return self.received - self.positive - self.negative


class Tally:
    """Counts for one door, from any thread; without a database it counts in memory only."""

    def __init__(
        self, database: Database | None = None, clock: Callable[[], int] = now_micros
    ) -> None:
        self._database, self._clock = database, clock
        self._door = uuid4().hex
        self._counted: _Counts = {}
        self._written: _Counts = {}
        self._before: _Counts = {}  # what earlier names of this door have written
        self._count_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._changed, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def received(self, source: str) -> None:
        """Count a frame that is complete."""
        self._add(source, (1, 0, 0, 0))

    def answered(self, source: str, positive: bool) -> None:
        """Count a reply that was sent, or a message stored for one who wants no reply."""
        self._add(source, (0, 1, 0, 0) if positive else (0, 0, 1, 0))

    def fragment(self, source: str) -> None:
        """Count a frame that never ended."""
        self._add(source, (0, 0, 0, 1))

    def _add(self, source: str, more: tuple[int, int, int, int]) -> None:
        source = source.replace("\0", "")[:250]  # as the inbox writes it
        with self._count_lock:
            self._counted[source] = _plus(self._counted.get(source, _NONE), more)
            if self._thread is None and self._database and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="tally", daemon=True)
                self._thread.start()
        self._changed.set()

    def stop(self) -> None:
        """Write what was counted and end; what cannot be written is lost, and said to be."""
        self._stopping.set()
        self._changed.set()
        with self._count_lock:
            thread, self._thread = self._thread, None
        if thread:
            thread.join()
        if self._database:
            self._try()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # An idle door writes once an hour too: it is not one of the past.
            self._changed.wait(_HEARTBEAT_SECONDS)
            self._stopping.wait(_FLUSH_SECONDS)
            self._changed.clear()
            if not self._stopping.is_set() and not self._try():
                self._changed.set()

    def _try(self) -> bool:
        try:
            self.flush()
        except (StoreUnavailable, VersionConflict):
            log.warning("the counts of this door could not be written")
            return False
        except Exception:
            log.exception("the counts of this door could not be written")
            return False
        return True

    def flush(self) -> None:
        """Write the counts as they stand now; raises StoreUnavailable."""
        if self._database is None:
            return
        with self._write_lock:
            with self._count_lock:
                counted = dict(self._counted)
            if counted:
                self._write(self._database, counted)

    def _write(self, database: Database, counted: _Counts) -> None:
        now = self._clock()
        with database.write() as connection:
            lock = "" if database.is_sqlite else " FOR UPDATE"
            found = connection.execute(text(_OWN + lock), {"door": self._door})
            if not self._written.keys() <= set(found.scalars()):
                # Silent for so long that its rows were folded: go on under another name, from
                # what was written. Decided before the commit, so trying again changes nothing.
                self._door = uuid4().hex
                self._before = {
                    name: _plus(self._before.get(name, _NONE), one)
                    for name, one in self._written.items()
                }
                self._written = {}
            own = {
                name: _minus(one, self._before.get(name, _NONE)) for name, one in counted.items()
            }
            changed = [name for name, one in own.items() if self._written.get(name) != one]
            # One row is written even then: it says that this door lives.
            rows = [self._row(name, own[name], now) for name in changed or sorted(own)[:1]]
            connection.execute(_SET, rows)
            fold(connection, now)
        self._written = own

    def _row(self, source: str, counts: tuple[int, ...], now: int) -> dict[str, Any]:
        return {"door": self._door, "source": source, "now": now,
                **dict(zip(_COUNTS, counts, strict=True))}  # fmt: skip


def fold(connection: Connection, now: int) -> None:
    """Add the rows of doors that were silent for a day to those of the past."""
    before = now - _DAY
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    silent = connection.execute(_SILENT, {"past": PAST, "before": before}).scalars().all()
    for door in silent:
        rows = connection.execute(text(_ROWS + lock), {"door": door}).mappings().all()
        if any(row["changed_at"] >= before for row in rows):
            continue  # it has spoken since
        for row in rows:
            connection.execute(_ADD, {**row, "past": PAST})
            connection.execute(_DROP, {"door": door, "source": row["source"]})


def tallied(connection: Connection, now: int, overdue: int = 60_000_000) -> list[Tallied]:
    """Return the sums of each source; `overdue` in microseconds is when open is too long."""
    rows = connection.execute(_SUMS, {"past": PAST, "before": now - overdue}).mappings()
    return [
        Tallied(row["source"], *(int(row[name]) for name in (*_COUNTS, "overdue"))) for row in rows
    ]


def _plus(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int, int, int]:
    received, positive, negative, fragments = (a + b for a, b in zip(one, other, strict=True))
    return received, positive, negative, fragments


def _minus(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int, int, int]:
    return _plus(one, tuple(-number for number in other))
