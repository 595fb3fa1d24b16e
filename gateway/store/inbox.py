"""What was accepted, durably, before anybody is told so: group commit by lock and drain.

Every arrival joins a pending list; whoever gets the lock commits all that is pending in one
transaction. One sender alone pays one commit, a hundred senders share it (ingest rules 3.1, 3.3).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from gateway.errors import StoreUnavailable
from gateway.store.database import Database

log = logging.getLogger(__name__)

_COLUMNS = (
    "received_at", "source", "sender", "sending_application", "sending_facility", "control_id",
    "type", "charset", "dedupe_key", "raw", "answer", "reply", "state", "reason", "duplicate_of",
    "control_id_reused", "application_wanted", "back_load",
)  # fmt: skip
_INSERT = text(
    f"INSERT INTO message ({', '.join(_COLUMNS)}) VALUES (:{', :'.join(_COLUMNS)})"  # noqa: S608 - our own words
    " ON CONFLICT (dedupe_key) DO NOTHING RETURNING key"
)
_INSERT_PART = text(
    "INSERT INTO part (message_key, ordinal, lane, state, reason, detail, account, outcome,"
    " attempts, ready_at, changed_at)"
    " VALUES (:message, :ordinal, :lane, 'received', '', '[]', '[]', '[]', 0, :at, :at)"
)
_ORIGINAL = text("SELECT key, answer, reply FROM message WHERE dedupe_key = :dedupe_key")
_REUSED = text(
    "SELECT 1 FROM message WHERE source = :source AND control_id = :control_id"
    " AND sending_application = :sending_application AND state = 'accepted' LIMIT 1"
)


@dataclass(slots=True)
class Entry:
    """One frame to be kept, with the answer that goes out once it is; `reply` may be replaced.

    `lanes` holds one lane for each part to be worked on; none when it is rejected.
    """

    received_at: int
    source: str
    raw: bytes
    answer: str
    reply: bytes
    state: str = "accepted"
    sender: str = ""
    sending_application: str = ""
    sending_facility: str = ""
    control_id: str = ""
    type: str = ""
    charset: str = ""
    dedupe_key: str | None = None
    reason: str = ""
    lanes: Sequence[str] = ()
    duplicate_of: int | None = None
    control_id_reused: bool = False
    application_wanted: str = ""
    back_load: bool = False
    key: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """The row that an entry became; true only once its transaction has committed."""

    key: int
    original: Row[Any] | None = None
    control_id_reused: bool = False


@dataclass(slots=True, eq=False)
class _Waiting:
    entry: Entry
    kept: _Kept | None = None
    cause: Exception | None = None
    done: bool = False


class Inbox:
    """Keeps arrivals; safe to call from any number of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Waiting] = []
        self._add = threading.Lock()
        self._commit = threading.Lock()

    def keep(self, entry: Entry) -> Entry:
        """Return when `entry` is durable, with the reply to send; raises StoreUnavailable."""
        mine = _Waiting(entry)
        with self._add:
            self._pending.append(mine)
        with self._commit:
            if not mine.done:
                self._drain()
        if mine.kept is None:
            raise StoreUnavailable from mine.cause
        _tell(entry, mine.kept)
        return entry

    def _drain(self) -> None:
        with self._add:
            batch, self._pending = self._pending, []
        # One order of keys in every process: two of them cannot wait for each other's rows.
        batch.sort(key=lambda one: one.entry.dedupe_key or "")
        try:
            self._write(batch)
        except StoreUnavailable as error:
            for one in batch:
                one.cause = error
        except Exception:
            # One entry that the database refuses must not take the others with it.
            for one in batch:
                self._write_alone(one)
        finally:
            for one in batch:
                one.done = True

    def _write_alone(self, one: _Waiting) -> None:
        try:
            self._write([one])
        except StoreUnavailable as error:
            one.cause = error
        except Exception as error:
            log.exception("the store refused an arrival", extra={"source": one.entry.source})
            one.cause = error

    def _write(self, batch: list[_Waiting]) -> None:
        with self._database.write() as connection:
            kept = [_insert(connection, one.entry) for one in batch]
        for one, row in zip(batch, kept, strict=True):
            one.kept = row


def _tell(entry: Entry, kept: _Kept) -> None:
    entry.key, entry.control_id_reused = kept.key, kept.control_id_reused
    if kept.original is not None:
        entry.state, entry.duplicate_of = "duplicate", kept.original.key
        entry.answer, entry.reply = kept.original.answer, bytes(kept.original.reply)


def _insert(connection: Connection, entry: Entry) -> _Kept:
    row = _row(entry)
    if entry.control_id and entry.state == "accepted":
        row["control_id_reused"] = connection.execute(_REUSED, row).first() is not None
    key = connection.execute(_INSERT, row).scalar()
    if key is None:
        return _insert_duplicate(connection, row)
    if entry.lanes:
        at = entry.received_at
        connection.execute(
            _INSERT_PART,
            [
                {"message": key, "ordinal": number, "lane": lane, "at": at}
                for number, lane in enumerate(entry.lanes)
            ],
        )
    return _Kept(key, None, row["control_id_reused"])


def _insert_duplicate(connection: Connection, row: dict[str, Any]) -> _Kept:
    """Record a repeat: the same answer again, no new work."""
    original = connection.execute(_ORIGINAL, row).one()
    row.update(
        dedupe_key=None, state="duplicate", duplicate_of=original.key, answer=original.answer,
        reply=bytes(original.reply), control_id_reused=False, application_wanted="",
    )  # fmt: skip
    return _Kept(connection.execute(_INSERT, row).scalar_one(), original)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "received_at": entry.received_at,
        "source": _short(entry.source),
        "sender": entry.sender,
        "sending_application": _short(entry.sending_application),
        "sending_facility": _short(entry.sending_facility),
        "control_id": _short(entry.control_id),
        "type": _short(entry.type),
        "charset": _short(entry.charset),
        "dedupe_key": entry.dedupe_key,
        "raw": entry.raw,
        "answer": entry.answer,
        "reply": entry.reply,
        "state": entry.state,
        "reason": entry.reason,
        "duplicate_of": entry.duplicate_of,
        "control_id_reused": entry.control_id_reused,
        "application_wanted": entry.application_wanted,
        "back_load": entry.back_load,
    }


def _short(value: str) -> str:
    # PostgreSQL refuses NUL in text; the bytes themselves are in `raw`.
    return value.replace("\0", "")[:250]
