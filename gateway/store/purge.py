"""Retention: the bytes of old messages are emptied, a few hundred at a time.

The row stays with its dedupe key and its answer, so that a late repeat is still known. What is
held, waits or was not read is never touched, and neither is a message whose report had a newer
version since, or whose sender is still owed an acknowledgement: that may have to be read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from gateway.store.database import Database

_BATCH = 500
_DAY = 86_400_000_000
# Others write in between: receiving goes on.
_PAUSE_SECONDS = 0.05

_FILED = """
FROM message m WHERE m.purged_at IS NULL AND m.received_at < :before AND m.state = 'accepted'
  AND m.application_wanted = ''
  AND NOT EXISTS (SELECT 1 FROM part p WHERE p.message_key = m.key
                  AND (p.state NOT IN ('filed', 'rejected') OR p.changed_at >= :before))
  AND NOT EXISTS (SELECT 1 FROM part p JOIN edition e ON e.part_key = p.key
                  JOIN edition n ON n.report_key = e.report_key
                  WHERE p.message_key = m.key AND n.received_at >= :before)
"""
_REFUSED = """
FROM message m WHERE m.purged_at IS NULL AND m.received_at < :before AND m.state <> 'accepted'
"""
_SOME = "SELECT m.key {} ORDER BY m.received_at, m.key LIMIT :batch"
_HOW_MANY = "SELECT count(*) {}"
_EMPTY = text(
    "UPDATE message SET raw = :nothing, purged_at = :now WHERE key = :key AND purged_at IS NULL"
)
_FORGET = text("UPDATE part SET account = '[]' WHERE message_key = :key")


@dataclass(frozen=True, slots=True)
class Purged:
    """How many messages: filed ones, and refused ones with repeats."""

    filed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days the bytes of messages are kept; 0 is for ever."""

    filed_days: int
    refused_days: int


def due(database: Database, retention: Retention, now: int) -> Purged:
    """Count what a purge would empty. Raises StoreUnavailable."""
    with database.read() as connection:
        counts = [
            connection.execute(text(_HOW_MANY.format(old)), {"before": now - days * _DAY}).scalar()
            if days
            else 0
            for old, days in _each(retention)
        ]
    return Purged(*(int(one or 0) for one in counts))


def purge(
    database: Database, retention: Retention, now: int, stopping: Callable[[], bool]
) -> Purged:
    """Empty what is older than its retention, until done or stopping. Raises StoreUnavailable."""
    return Purged(*(
        _purge(database, old, now - days * _DAY, now, stopping) if days else 0
        for old, days in _each(retention)
    ))  # fmt: skip


def _each(retention: Retention) -> tuple[tuple[str, int], ...]:
    return (_FILED, retention.filed_days), (_REFUSED, retention.refused_days)


def _purge(
    database: Database, old: str, before: int, now: int, stopping: Callable[[], bool]
) -> int:
    done = 0
    query = text(_SOME.format(old))
    while not stopping():
        with database.read() as connection:
            keys = connection.execute(query, {"before": before, "batch": _BATCH}).scalars().all()
        if not keys:
            break
        rows = [{"key": key, "now": now, "nothing": b""} for key in keys]
        with database.write() as connection:
            connection.execute(_EMPTY, rows)
            connection.execute(_FORGET, rows)
        done += len(keys)
        time.sleep(_PAUSE_SECONDS)
    return done
