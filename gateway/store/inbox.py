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

from gateway.errors import StoreUnavailable
from gateway.store.arrival import Arrivals, Arriving, Kept
from gateway.store.database import Database

log = logging.getLogger(__name__)


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


@dataclass(slots=True, eq=False)
class _Waiting:
    entry: Entry
    kept: Kept | None = None
    cause: Exception | None = None
    done: bool = False


class Inbox:
    """Keeps arrivals; safe to call from any number of threads."""

    def __init__(self, database: Database) -> None:
        self._arrivals = Arrivals(database)
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
        kept = self._arrivals.keep([Arriving(_row(one.entry), one.entry.lanes) for one in batch])
        for one, row in zip(batch, kept, strict=True):
            one.kept = row


def _tell(entry: Entry, kept: Kept) -> None:
    entry.key, entry.control_id_reused = kept.key, kept.control_id_reused
    if kept.original is not None:
        entry.state, entry.duplicate_of = "duplicate", kept.original.key
        entry.answer, entry.reply = kept.original.answer, kept.original.reply


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
