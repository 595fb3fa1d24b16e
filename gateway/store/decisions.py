"""What named persons decide about parts, and the rows that their decisions change.

A decision locks the row of its part first, and looks at its state in the same transaction: of
two people who decide at once, the second finds what the first has made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

RELEASE, REPLAY, PROPOSE, REJECT, UNMERGE = "release", "replay", "propose", "reject", "unmerge"
QUARANTINE, LIFT, REFILE = "quarantine", "lift-quarantine", "refile"

_LOCK = (
    "SELECT p.key, p.message_key, p.ordinal, p.state, p.reason, p.awaits, p.detail, p.outcome,"
    " m.purged_at FROM part p JOIN message m ON m.key = p.message_key WHERE p.key = :key"
)
_PARTS = text("SELECT key, ordinal, state FROM part WHERE message_key = :message ORDER BY ordinal")
_NAMES = text("SELECT report FROM part_report WHERE part_key = :key ORDER BY report")
_WAITS = text(
    "SELECT 1 FROM part_report WHERE report = :report AND part_key <> :key UNION ALL"
    " SELECT 1 FROM part WHERE awaits = :report AND state = 'held' AND key <> :key LIMIT 1"
)
_TO_WORK = text(
    "UPDATE part SET state = 'received', reason = '', ready_at = :now, changed_at = :now,"
    " awaits = NULL, crashes = 0, alerted_at = NULL WHERE key = :key"
)
_REJECT = text(
    "UPDATE part SET state = 'rejected', ready_at = 0, changed_at = :now, awaits = NULL"
    " WHERE key = :key"
)
_FILED = text(
    "UPDATE part SET state = 'filed', reason = '', detail = :detail, account = :account,"
    " outcome = :outcome, attempts = attempts + 1, ready_at = 0, changed_at = :now,"
    " awaits = NULL, alerted_at = NULL WHERE key = :key"
)
# It is as old as before: nobody has helped it yet.
_HELD_STILL = text(
    "UPDATE part SET reason = :reason, detail = :detail, account = :account, awaits = :awaits,"
    " urgency = :urgency WHERE key = :key"
)
_RECORD = text(
    "INSERT INTO decision (part_key, at, who, action, reason, digest)"
    " VALUES (:part_key, :at, :who, :action, :reason, :digest)"
)
_OF_MESSAGE = text(
    "SELECT p.ordinal, d.at, d.who, d.action, d.reason, d.digest FROM decision d"
    " JOIN part p ON p.key = d.part_key WHERE p.message_key = :message ORDER BY d.key"
)
# What was decided since makes an earlier proposal void.
_PROPOSED = text(
    "SELECT d.part_key, d.who FROM decision d WHERE d.digest = :digest AND d.action = 'propose'"
    " AND NOT EXISTS (SELECT 1 FROM decision l WHERE l.part_key = d.part_key AND l.key > d.key"
    " AND l.action <> 'propose') ORDER BY d.key"
)
_CHOOSE = (
    "SELECT p.key FROM part p JOIN message m ON m.key = p.message_key WHERE p.state = :state"
    " {where} AND p.key {direction} :start ORDER BY p.key {order} LIMIT :limit"
)
_NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Locked:
    """One part as it stands; when it was locked, until the transaction ends."""

    key: int
    message_key: int
    ordinal: int
    state: str
    reason: str
    awaits: str | None
    detail: str
    outcome: tuple[str, ...]
    purged: bool


def lock(connection: Connection, part_key: int) -> Locked | None:
    """Lock one part until the transaction ends and return it, or None."""
    return _find(connection, part_key, connection.dialect.name != "sqlite")


def look(connection: Connection, part_key: int) -> Locked | None:
    """Return one part as it stands now, without locking it, or None."""
    return _find(connection, part_key, False)


def _find(connection: Connection, part_key: int, locked: bool) -> Locked | None:
    only = " FOR UPDATE OF p" if locked else ""
    row = connection.execute(text(_LOCK + only), {"key": part_key}).first()
    if row is None:
        return None
    outcome = tuple(orjson.loads(row.outcome))
    return Locked(
        row.key, row.message_key, row.ordinal, row.state, row.reason, row.awaits, row.detail,
        outcome, row.purged_at is not None,
    )  # fmt: skip


def parts_of(connection: Connection, message_key: int) -> list[tuple[int, int, str]]:
    """Return the parts of a message: key, ordinal, state."""
    return [tuple(row) for row in connection.execute(_PARTS, {"message": message_key})]


def chosen(
    connection: Connection, state: str, *, sender: str = "", reason: str = "", after: int = 0,
    newest_first: bool = False, limit: int = 100,
) -> list[int]:  # fmt: skip
    """Return some keys of parts in a state, beyond `after` in the order that is asked for."""
    where = " AND m.sender = :sender" if sender else ""
    where += " AND p.reason = :reason" if reason else ""
    direction, order = ("<", "DESC") if newest_first else (">", "ASC")
    query = text(_CHOOSE.format(where=where, direction=direction, order=order))
    start = after or (_NEWEST if newest_first else 0)
    values = {"state": state, "sender": sender, "reason": reason, "start": start, "limit": limit}
    return [int(key) for key in connection.execute(query, values).scalars()]


def differs(part: Locked, reason: str, detail: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a part would be held for something else than it is now."""
    return (part.reason, orjson.loads(part.detail)) != (reason, list(detail))


def names(connection: Connection, part: Locked) -> list[str]:
    """Return the reports that a held part names or awaits."""
    found = connection.execute(_NAMES, {"key": part.key}).scalars()
    return sorted({*found, *([part.awaits] if part.awaits else [])})


def waits_for(connection: Connection, report: str, but: int) -> bool:
    """Whether another part than `but` names or awaits this report and was not decided yet."""
    return connection.execute(_WAITS, {"report": report, "key": but}).first() is not None


def to_work(connection: Connection, part_key: int, now: int) -> None:
    """Give a held part back to the workers; what waits behind it goes on waiting."""
    connection.execute(_TO_WORK, {"key": part_key, "now": now})


def reject(connection: Connection, part_key: int, now: int) -> None:
    """End a held part; its reason stays."""
    connection.execute(_REJECT, {"key": part_key, "now": now})


def file(
    connection: Connection,
    part_key: int,
    now: int,
    *,
    detail: Sequence[Mapping[str, Any]],
    account: Sequence[Mapping[str, Any]],
    outcome: Sequence[str],
) -> None:
    """Note that a part was filed, held before or filed before."""
    values = {"detail": _text(detail), "account": _text(account), "outcome": _text(outcome)}
    connection.execute(_FILED, {"key": part_key, "now": now, **values})


def hold_still(
    connection: Connection,
    part_key: int,
    *,
    reason: str,
    detail: Sequence[Mapping[str, Any]],
    account: Sequence[Mapping[str, Any]],
    awaits: str | None,
    urgency: str,
) -> None:
    """Note why a part is held now, that was held for something else before."""
    values = {"reason": reason, "awaits": awaits, "urgency": urgency}
    connection.execute(
        _HELD_STILL,
        {"key": part_key, "detail": _text(detail), "account": _text(account), **values},
    )


def record(
    connection: Connection, part_key: int, now: int, who: str, action: str, why: str,
    digest: str = "",
) -> None:  # fmt: skip
    """Keep what a person decided; such a row is never changed."""
    connection.execute(
        _RECORD,
        {"part_key": part_key, "at": now, "who": who, "action": action, "reason": why,
         "digest": digest},
    )  # fmt: skip


def of_message(connection: Connection, message_key: int) -> list[Mapping[str, Any]]:
    """Return what was decided about the parts of a message: ordinal, at, who, action, …."""
    rows = connection.execute(_OF_MESSAGE, {"message": message_key}).mappings()
    return [dict(row) for row in rows]


def proposed(connection: Connection, digest: str) -> list[tuple[int, str]]:
    """Return who proposed a change that still waits for a second person: part key, who."""
    return [tuple(row) for row in connection.execute(_PROPOSED, {"digest": digest})]


def _text(values: Iterable[Any]) -> str:
    return orjson.dumps(list(values)).decode()
