"""Messages and what became of each of their parts, as a list for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

_ROWS = (
    "SELECT m.key, m.received_at, m.source, m.sender, m.control_id, m.type, m.answer,"
    " m.state AS message_state, m.reason AS message_reason, m.duplicate_of, m.back_load,"
    " m.control_id_reused, m.purged_at, p.key AS part, p.ordinal, p.state, p.reason, p.detail,"
    " p.outcome, p.account, p.changed_at, p.urgency, p.attempts"
    " FROM message m LEFT JOIN part p ON p.message_key = m.key"
)
# A page is so many messages, and all of their parts that are asked for.
_KEYS = "SELECT m.key FROM message m LEFT JOIN part p ON p.message_key = m.key"
_PART_STATES = ("received", "waiting", "filed", "held")
_SINCE = "CASE WHEN p.state = 'held' THEN p.changed_at ELSE m.received_at END"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list shows: empty and 0 ask for nothing in particular.

    `until` is an instant: held since then or earlier, or (what is not held) received by then.
    `beyond` is the key of the message where the page before ended.
    """

    key: int = 0
    state: str = ""
    reason: str = ""
    sender: str = ""
    source: str = ""
    until: int = 0
    beyond: int = 0
    oldest_first: bool = False


def list_messages(
    connection: Connection, wanted: Wanted | None = None, *, limit: int = 100
) -> list[Mapping[str, Any]]:
    """Return a page of messages, one row for each part; newest first unless asked otherwise."""
    asked = wanted or Wanted()
    where = _where(asked)
    order = "ASC" if asked.oldest_first else "DESC"
    page = where
    if asked.beyond:
        page = [*where, f"m.key {'>' if asked.oldest_first else '<'} :beyond"]
    keys = f"{_KEYS}{_all(page)} GROUP BY m.key ORDER BY m.key {order} LIMIT :limit"
    query = f"{_ROWS}{_all([*where, f'm.key IN ({keys})'])} ORDER BY m.key {order}, p.ordinal"
    values = {
        "key": asked.key, "state": asked.state, "reason": asked.reason, "sender": asked.sender,
        "source": asked.source, "until": asked.until, "beyond": asked.beyond, "limit": limit,
    }  # fmt: skip
    return [dict(row) for row in connection.execute(text(query), values).mappings()]


def _where(asked: Wanted) -> list[str]:
    where = ["m.key = :key"] if asked.key else []
    if asked.state in _PART_STATES:
        where.append("p.state = :state")
    elif asked.state:
        where.append("(p.state = :state OR m.state = :state)")
    if asked.reason:
        where.append("(p.reason = :reason OR m.reason = :reason)")
    where += ["m.sender = :sender"] if asked.sender else []
    where += ["m.source = :source"] if asked.source else []
    where += [f"{_SINCE} <= :until"] if asked.until else []
    return where


def _all(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
