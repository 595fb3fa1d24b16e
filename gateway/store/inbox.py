"""What was accepted, durably, before anybody is told so: group commit by lock and drain.

Every arrival joins a pending list; whoever gets the lock commits all that is pending in one
transaction. One sender alone pays one commit, a hundred senders share it (ingest rules 3.1, 3.3).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import GatewayError, StoreUnavailable, VersionConflict
from gateway.store.database import Database

log = logging.getLogger(__name__)

_INSERT = text(
    "INSERT INTO message (received_at, source, sender, sending_application, sending_facility,"
    " control_id, type,"
    " charset, dedupe_key, raw, answer, reply, state, reason, duplicate_of,"
    " control_id_reused) VALUES (:received_at, :source, :sender, :sending_application,"
    " :sending_facility, :control_id, :type, :charset, :dedupe_key, :raw, :answer, :reply,"
    " :state, :reason,"
    " :duplicate_of, :control_id_reused) ON CONFLICT (dedupe_key) DO NOTHING RETURNING key"
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
    key: int = 0
    error: GatewayError | None = None
    done: bool = field(default=False)


class Inbox:
    """Keeps arrivals; safe to call from any number of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[Entry] = []
        self._add = threading.Lock()
        self._commit = threading.Lock()

    def keep(self, entry: Entry) -> Entry:
        """Return when `entry` is durable, with the reply to send; raises StoreUnavailable."""
        with self._add:
            self._pending.append(entry)
        with self._commit:
            if not entry.done:
                self._drain()
        if entry.error:
            raise entry.error
        return entry

    def _drain(self) -> None:
        with self._add:
            entries, self._pending = self._pending, []
        try:
            self._write(entries)
        except StoreUnavailable as error:
            for entry in entries:
                entry.error = error
        except (DBAPIError, VersionConflict):
            # One entry that the database refuses must not take the others with it.
            for entry in entries:
                self._write_alone(entry)
        for entry in entries:
            entry.done = True

    def _write_alone(self, entry: Entry) -> None:
        try:
            self._write([entry])
        except StoreUnavailable as error:
            entry.error = error
        except (DBAPIError, VersionConflict) as error:
            log.exception("the store refused an arrival", extra={"source": entry.source})
            entry.error = StoreUnavailable()
            entry.error.__cause__ = error

    def _write(self, entries: list[Entry]) -> None:
        with self._database.write() as connection:
            for entry in entries:
                _insert(connection, entry)


def _insert(connection: Connection, entry: Entry) -> None:
    row = _row(entry)
    if entry.control_id and entry.state == "accepted":
        row["control_id_reused"] = connection.execute(_REUSED, row).first() is not None
    key = connection.execute(_INSERT, row).scalar()
    if key is None:
        _insert_duplicate(connection, entry, row)
        return
    entry.key = key
    if entry.lanes:
        at = entry.received_at
        connection.execute(
            _INSERT_PART,
            [
                {"message": key, "ordinal": number, "lane": lane, "at": at}
                for number, lane in enumerate(entry.lanes)
            ],
        )


def _insert_duplicate(connection: Connection, entry: Entry, row: dict[str, Any]) -> None:
    """Record a repeat: the same answer again, no new work."""
    original = connection.execute(_ORIGINAL, row).one()
    entry.answer, entry.reply = original.answer, bytes(original.reply)
    entry.state, entry.duplicate_of = "duplicate", original.key
    row.update(
        dedupe_key=None, state="duplicate", duplicate_of=original.key, answer=original.answer,
        reply=entry.reply, control_id_reused=False,
    )  # fmt: skip
    entry.key = connection.execute(_INSERT, row).scalar_one()


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
    }


def _short(value: str) -> str:
    # PostgreSQL refuses NUL in text; the bytes themselves are in `raw`.
    return value.replace("\0", "")[:250]
