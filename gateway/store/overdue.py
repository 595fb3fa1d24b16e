"""Held parts that have waited too long, by urgency; each is reported once in each interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

from gateway.store.database import Database

_STEP = 500
# Reported before this hold began: that was another hold.
_OVERDUE = (
    "SELECT p.key, m.key, m.source, m.sender, p.reason, p.urgency FROM part p"
    " JOIN message m ON m.key = p.message_key"
    " WHERE p.state = 'held' AND p.changed_at <= :now - {limit} AND NOT m.back_load"
    " AND (p.alerted_at IS NULL OR p.alerted_at < p.changed_at OR p.alerted_at <= :now - {limit})"
    " ORDER BY p.key LIMIT :step"
)
_LIMIT = "(CASE p.urgency WHEN 'stat' THEN :stat WHEN 'urgent' THEN :urgent ELSE :routine END)"
_SELECT = _OVERDUE.format(limit=_LIMIT)
_NOTE = text("UPDATE part SET alerted_at = :now WHERE key IN :keys").bindparams(
    bindparam("keys", expanding=True)
)


class Limits(NamedTuple):
    """How long a part may be held, in microseconds."""

    stat: int
    urgent: int
    routine: int


def note_overdue(
    database: Database,
    limits: Limits,
    now: int,
    report: Callable[[int, int, str, str, str, str], None],
) -> int:
    """Call `report` (part, message, source, sender, reason, urgency) for each overdue part.

    Returns how many there were. They are noted after they were reported: an alert may come twice
    when the store fails in between, and is never lost.
    """
    count = 0
    while some := _report_some(database, limits, now, report):
        count += some
        if some < _STEP:
            break
    return count


def _report_some(
    database: Database,
    limits: Limits,
    now: int,
    report: Callable[[int, int, str, str, str, str], None],
) -> int:
    values = {**limits._asdict(), "now": now, "step": _STEP}
    with database.read() as connection:
        if connection.execute(text(_SELECT), values).first() is None:
            return 0
    with database.write() as connection:
        rows = connection.execute(text(_SELECT + _lock(connection)), values).all()
        for row in rows:
            report(*row)
        if rows:
            connection.execute(_NOTE, {"now": now, "keys": [row[0] for row in rows]})
    return len(rows)


def _lock(connection: Connection) -> str:
    return "" if connection.dialect.name == "sqlite" else " FOR UPDATE OF p SKIP LOCKED"
