"""What a source may ask about its own messages: by control id, and what changed since.

Places and reasons only, never content. A change is told at least once: a transaction may become
visible after one with a later time, so the end of every sweep goes back a minute.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, RowMapping, text

from gateway.errors import InvalidRequest

_OVERLAP = 60_000_000
# How many changes, of whatever source, one request looks at.
_WINDOW = 5_000
_NEWEST = 100
_CURSOR = re.compile(rb"1:(\d{1,18}):(\d{1,18}):(\d{1,18})", re.ASCII)
# Said so that SQLite goes by the time of change, not by the state.
_TOLD = "p.state NOT IN ('received', 'waiting')"

_MESSAGES = text(
    "SELECT key, received_at, control_id, type, answer, state, reason, duplicate_of FROM message"
    " WHERE source = :source AND control_id = :control_id ORDER BY key DESC LIMIT :limit"
)
_PARTS = (
    "SELECT message_key, ordinal, state, reason, detail, changed_at FROM part"
    " WHERE message_key IN ({keys}) ORDER BY message_key, ordinal"
)
_AFTER = "(p.changed_at > :changed OR (p.changed_at = :changed AND p.key > :key))"
_END = text(
    f"SELECT p.changed_at, p.key FROM part p WHERE p.changed_at >= :changed AND {_AFTER}"  # noqa: S608 - our own words
    " ORDER BY p.changed_at, p.key LIMIT 1 OFFSET :window"
)
_CHANGES = text(
    "SELECT p.key AS part, p.changed_at, p.ordinal, p.state, p.reason, p.detail,"  # noqa: S608 - our own words
    " m.key, m.received_at, m.control_id, m.type, m.answer"
    # CROSS: SQLite then begins with the few parts that changed, not with all of the source.
    " FROM part p CROSS JOIN message m"
    f" WHERE m.key = p.message_key AND p.changed_at >= :changed AND {_AFTER}"
    " AND (p.changed_at < :end OR (p.changed_at = :end AND p.key <= :end_key))"
    f" AND {_TOLD} AND m.source = :source AND NOT m.back_load"
    " ORDER BY p.changed_at, p.key LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one part; `places` are those that hold it."""

    number: int
    state: str
    reason: str
    places: tuple[str, ...]
    changed_at: int


@dataclass(frozen=True, slots=True)
class Status:
    """One message of the source that asks, and what became of each of its parts."""

    key: int
    received_at: int
    control_id: str
    type: str
    answer: str
    state: str
    reason: str
    duplicate_of: int | None
    parts: tuple[Became, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """One change: a part of a message was filed, is held, or was rejected by a person."""

    key: int
    received_at: int
    control_id: str
    type: str
    answer: str
    part: Became


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in their order; `after` is where to go on, `more` says that there are some now."""

    notices: tuple[Notice, ...]
    after: str
    more: bool


def find_statuses(connection: Connection, source: str, control_id: str) -> list[Status]:
    """Return the messages that a source sent under a control id, newest first, a hundred."""
    values = {"source": _stored(source), "control_id": _stored(control_id),
              "limit": _NEWEST}  # fmt: skip
    messages = connection.execute(_MESSAGES, values).mappings().all()
    parts: dict[int, list[Became]] = {row["key"]: [] for row in messages}
    if parts:
        keys = ", ".join(str(key) for key in parts)
        for row in connection.execute(text(_PARTS.format(keys=keys))).mappings():
            parts[row["message_key"]].append(_became(row))
    return [Status(**row, parts=tuple(parts[row["key"]])) for row in messages]


def find_notices(connection: Connection, source: str, after: str, limit: int, now: int) -> Page:
    """Return what became of a source's messages since `after` (empty: from the beginning).

    Asked again with `Page.after`, every change is told at least once, those of the last minute
    perhaps twice. Raises InvalidRequest for what is no cursor.
    """
    floor, changed, key = _read(after)
    if (floor, 0) == (changed, key):  # a new sweep
        # A clock that was set back must not leave the cursor in the future.
        changed = min(changed, max(0, now - _OVERLAP))
        floor = max(0, now - _OVERLAP)
    start = {"changed": changed, "key": key}
    last = connection.execute(_END, {**start, "window": _WINDOW - 1}).first()
    end, end_key = (last[0], last[1]) if last else (2**62, 2**62)
    rows = connection.execute(
        _CHANGES, {**start, "end": end, "end_key": end_key, "source": _stored(source),
                   "limit": limit},
    ).mappings().all()  # fmt: skip
    notices = tuple(
        Notice(row["key"], row["received_at"], row["control_id"], row["type"], row["answer"],
               _became(row))
        for row in rows
    )  # fmt: skip
    if len(rows) == limit:
        return Page(notices, _write(floor, rows[-1]["changed_at"], rows[-1]["part"]), True)
    if last:
        return Page(notices, _write(floor, end, end_key), True)
    return Page(notices, _write(floor, floor, 0), False)


def _stored(name: str) -> str:
    return name.replace("\0", "")[:250]  # as the inbox writes it


def _became(row: RowMapping) -> Became:
    places = [note["place"] for note in orjson.loads(row["detail"]) if note.get("hold")]
    held = row["state"] == "held"
    return Became(
        row["ordinal"] + 1, row["state"], row["reason"],
        tuple(dict.fromkeys(filter(None, places))) if held else (), row["changed_at"],
    )  # fmt: skip


def _read(after: str) -> tuple[int, int, int]:
    if not after:
        return 0, 0, 0
    try:
        found = _CURSOR.fullmatch(base64.urlsafe_b64decode(after.encode() + b"=="))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("not a cursor of this list", where="after") from error
    if not found:
        raise InvalidRequest("not a cursor of this list", where="after")
    floor, changed, key = (int(number) for number in found.groups())
    return floor, changed, key


def _write(floor: int, changed: int, key: int) -> str:
    return base64.urlsafe_b64encode(b"1:%d:%d:%d" % (floor, changed, key)).decode().rstrip("=")
