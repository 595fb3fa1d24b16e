"""Rows of what arrived, written with the driver's own cursor: the path where microseconds count.

Measured: SQLAlchemy's begin, execute and result cost five times what SQLite itself needs here,
and on PostgreSQL a transaction of several statements costs a round trip for each. One statement
keeps a whole batch there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import StoreUnavailable
from gateway.store.database import Database

_COLUMNS = {
    "received_at": "bigint", "source": "text", "sender": "text", "sending_application": "text",
    "sending_facility": "text", "control_id": "text", "type": "text", "charset": "text",
    "dedupe_key": "text", "raw": "bytea", "answer": "text", "reply": "bytea", "state": "text",
    "reason": "text", "duplicate_of": "bigint", "application_wanted": "text",
    "back_load": "boolean", "control_id_reused": "boolean",
}  # fmt: skip
_NAMES = ", ".join(_COLUMNS)
# Control ids start again in the field: one that was there before is noted, never refused.
_REUSED = (
    "(g.control_id_reused OR (g.state = 'accepted' AND g.control_id <> '' AND EXISTS ("
    "SELECT 1 FROM message o WHERE o.source = g.source AND o.control_id = g.control_id"
    " AND o.sending_application = g.sending_application AND o.state = 'accepted')))"
)
_SELECTED = ", ".join(f"g.{name}" for name in list(_COLUMNS)[:-1]) + f", {_REUSED}"
_PART = (
    "INSERT INTO part (message_key, ordinal, lane, state, reason, detail, account, outcome,"
    " attempts, ready_at, changed_at)"
)
_SQLITE = (
    f"INSERT INTO message ({_NAMES})"  # noqa: S608 - our own words
    f" SELECT {_SELECTED} FROM (SELECT {', '.join(f'? AS {name}' for name in _COLUMNS)}) g"
    " WHERE true ON CONFLICT (dedupe_key) DO NOTHING RETURNING key, control_id_reused"
)
_SQLITE_PART = f"{_PART} VALUES (?, ?, ?, 'received', '', '[]', '[]', '[]', 0, ?, ?)"
_POSTGRES = (
    "WITH kept AS ("  # noqa: S608 - our own words
    f"INSERT INTO message ({_NAMES}) SELECT {_SELECTED}"
    f" FROM unnest({', '.join(f'%s::{kind}[]' for kind in _COLUMNS.values())}) g ({_NAMES})"
    " ON CONFLICT (dedupe_key) DO NOTHING"
    " RETURNING key, dedupe_key, control_id_reused, received_at), work AS ("
    f"{_PART} SELECT k.key, w.ordinal, w.lane, 'received', '', '[]', '[]', '[]', 0,"
    " k.received_at, k.received_at FROM kept k"
    " JOIN unnest(%s::text[], %s::integer[], %s::text[]) w (dedupe_key, ordinal, lane)"
    " ON w.dedupe_key = k.dedupe_key RETURNING 1)"
    " SELECT key, control_id_reused, dedupe_key FROM kept ORDER BY key"
)
_ORIGINAL = "SELECT key, answer, reply FROM message WHERE dedupe_key = {}"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Original:
    """What was kept and answered when a message came for the first time."""

    key: int
    answer: str
    reply: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """The row that an arrival became; `original` where it is a repeat."""

    key: int
    control_id_reused: bool = False
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class Arriving:
    """One row to be, by column, and a lane for each part to be worked on."""

    row: Row
    lanes: Sequence[str]


class Arrivals:
    """Writes batches of arrivals, each batch in one durable transaction; for one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None

    def keep(self, batch: Sequence[Arriving]) -> list[Kept]:
        """Return what each arrival became; raises StoreUnavailable, and then nothing was kept.

        A connection that was lost meanwhile is opened again once: what the lost one may have
        kept is then found to be a repeat.
        """
        stale = self._connection is not None
        try:
            return self._try(batch)
        except StoreUnavailable:
            if not stale or self._database.is_sqlite:
                raise
            return self._try(batch)

    def _try(self, batch: Sequence[Arriving]) -> list[Kept]:
        with self._database.driver_errors():
            try:
                if self._connection is None:
                    self._connection = self._database.own_connection()
                write = self._on_sqlite if self._database.is_sqlite else self._on_postgres
                return write(self._connection.cursor(), batch)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give the connection up; the next batch opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._database.give_back(connection)

    def _on_sqlite(self, cursor: Any, batch: Sequence[Arriving]) -> list[Kept]:
        with self._database.exclusive():
            cursor.execute("BEGIN IMMEDIATE")
            kept = [_keep_on_sqlite(cursor, one) for one in batch]
            cursor.execute("COMMIT")
        return kept

    def _on_postgres(self, cursor: Any, batch: Sequence[Arriving]) -> list[Kept]:
        """Keep a batch; where all of it may be new, that is one statement and no more."""
        if all(one.row["dedupe_key"] for one in batch):
            return _keep_on_postgres(cursor, batch)
        cursor.execute("BEGIN")
        kept = _keep_on_postgres(cursor, batch)
        cursor.execute("COMMIT")
        return kept


def _first_of_each(batch: Sequence[Arriving]) -> list[Arriving]:
    """What may be new: no two with one dedupe key, and control ids that come twice are noted."""
    fresh: dict[str, Arriving] = {}
    seen: set[tuple[str, str, str]] = set()
    for one in batch:
        key = one.row["dedupe_key"]
        if not key or key in fresh:
            continue
        row = one.row
        names = (row["source"], row["control_id"], row["sending_application"])
        again = bool(row["control_id"]) and names in seen
        seen.add(names)
        fresh[key] = Arriving({**row, "control_id_reused": again}, one.lanes)
    return list(fresh.values())


def _keep_on_postgres(cursor: Any, batch: Sequence[Arriving]) -> list[Kept]:
    found: dict[str | None, Kept] = {
        dedupe_key: Kept(key, reused)
        for key, reused, dedupe_key in _insert_on_postgres(cursor, _first_of_each(batch))
    }
    kept = []
    for one in batch:
        key = one.row["dedupe_key"]
        kept.append(found.pop(key) if key in found else _keep_alone(cursor, one))
    return kept


def _insert_on_postgres(cursor: Any, batch: Sequence[Arriving]) -> list[tuple[Any, ...]]:
    if not batch:
        return []
    columns = [[one.row[name] for one in batch] for name in _COLUMNS]
    lanes = [
        (one.row["dedupe_key"], ordinal, lane)
        for one in batch
        for ordinal, lane in enumerate(one.lanes)
    ]
    work = [list(column) for column in zip(*lanes, strict=True)] if lanes else [[], [], []]
    cursor.execute(_POSTGRES, (*columns, *work))
    return list(cursor.fetchall())


def _keep_alone(cursor: Any, one: Arriving) -> Kept:
    """Keep what has no dedupe key, or repeats what is there."""
    original = _original(cursor, one.row["dedupe_key"], "%s")
    row = _as_repeat(one.row, original) if original else one.row
    ((key, *_),) = _insert_on_postgres(cursor, [Arriving({**row, "dedupe_key": None}, ())])
    return Kept(key, False, original)


def _keep_on_sqlite(cursor: Any, one: Arriving) -> Kept:
    row = one.row
    found = cursor.execute(_SQLITE, [row[name] for name in _COLUMNS]).fetchone()
    if found is None:
        original = _original(cursor, row["dedupe_key"], "?")
        repeat = _as_repeat(row, original) if original else row
        values = [repeat[name] for name in _COLUMNS]
        return Kept(cursor.execute(_SQLITE, values).fetchone()[0], False, original)
    if one.lanes:
        at = row["received_at"]
        cursor.executemany(
            _SQLITE_PART,
            [(found[0], ordinal, lane, at, at) for ordinal, lane in enumerate(one.lanes)],
        )
    return Kept(found[0], bool(found[1]))


def _original(cursor: Any, dedupe_key: str | None, mark: str) -> Original | None:
    if dedupe_key is None:
        return None
    cursor.execute(_ORIGINAL.format(mark), (dedupe_key,))
    found = cursor.fetchone()
    return Original(found[0], found[1], bytes(found[2])) if found else None


def _as_repeat(row: Row, original: Original) -> Row:
    """Record a repeat: the same answer again, no new work."""
    return {
        **row, "dedupe_key": None, "state": "duplicate", "duplicate_of": original.key,
        "answer": original.answer, "reply": original.reply, "application_wanted": "",
    }  # fmt: skip
