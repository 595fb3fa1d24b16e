"""The message table is the queue: lanes are leased with a fence, parts taken in order.

One worker at a time holds a lane. The fence is checked again, under lock, in the transaction
that files a part: a worker that lost its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from gateway.store.database import Database

_BLOCKED = "blocked"
_HORIZON = 7_200_000_000
_RECHECK = 3_600_000_000
_LEASES_AHEAD = 4
# What is to be done has a time (`ready_at`), what is done has none: 0. A waiting part waits for
# its time, unless that is further off than any wait of ours: then a clock was put back since (and
# likewise for leases). An earlier part of its lane that waits holds it up; what waits behind a
# held report does not. The expressions keep SQLite on the partial index of open parts, in their
# order: by state it would sort the whole backlog for each claim.
_FREE = """
SELECT p.lane FROM part p WHERE p.ready_at > 0
  AND (p.state || '' = 'received' OR (p.state || '' = 'waiting'
       AND (+p.ready_at <= :now OR +p.ready_at > :horizon)))
  AND NOT EXISTS (SELECT 1 FROM lane l WHERE l.name = p.lane
                  AND l.leased_until >= :now AND l.leased_until <= :far)
  AND NOT EXISTS (SELECT 1 FROM part e WHERE e.lane = p.lane AND e.state = 'waiting'
                  AND e.key < p.key AND e.reason <> 'blocked'
                  AND +e.ready_at > :now AND +e.ready_at <= :horizon)
ORDER BY p.key LIMIT 1
"""
_SOME = 50
_RECEIVED = text(
    "SELECT key FROM part WHERE lane = :lane AND state = 'received' ORDER BY key LIMIT :some"
)
_WAITING = text(
    "SELECT key, ready_at FROM part WHERE lane = :lane AND state = 'waiting'"
    " AND (reason <> 'blocked' OR ready_at <= :now) ORDER BY key LIMIT :some"
)
_LEFT_BEHIND = text("SELECT 1 FROM lane WHERE name = :name")
_LEASE = text(
    "INSERT INTO lane (name, owner, fence, leased_until) VALUES (:name, :owner, :now, :until)"
    " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
    " fence = CASE WHEN lane.fence >= excluded.fence THEN lane.fence + 1 ELSE excluded.fence END,"
    " leased_until = excluded.leased_until"
    " WHERE lane.leased_until < :now OR lane.leased_until > :far RETURNING fence"
)
_STOPPED_AT = text("UPDATE part SET crashes = crashes + 1 WHERE key = :key")
_ONE_PART = text(
    "SELECT p.key, p.message_key, p.ordinal, p.attempts, p.crashes, m.raw, m.sender, m.source,"
    " m.received_at, m.charset FROM part p JOIN message m ON m.key = p.message_key"
    " WHERE p.key = :key"
)
_FENCE = "SELECT fence FROM lane WHERE name = :name AND owner = :owner"
_FINISH = text(
    "UPDATE part SET state = :state, reason = :reason, detail = :detail, account = :account,"
    " outcome = :outcome, attempts = attempts + 1, ready_at = :ready_at, changed_at = :now,"
    " awaits = :awaits, urgency = :urgency, alerted_at = NULL"
    " WHERE key = :key AND state IN ('received', 'waiting', 'held')"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work: the raw message it belongs to, and which part of it.

    `attempts` counts what was finished without filing it, `crashes` how often a worker was lost
    while it had it in hand.
    """

    key: int
    message_key: int
    ordinal: int
    attempts: int
    crashes: int
    raw: bytes
    sender: str
    source: str
    received_at: int
    charset: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased lane and the keys of its parts in order; `fence` rises with every lease."""

    lane: str
    owner: str
    fence: int
    parts: tuple[int, ...]


def claim(database: Database, owner: str, now: int, lease: int) -> Claim | None:
    """Lease the lane with the oldest work that is ready, or return None; `lease` in micros."""
    times = {"now": now, "horizon": now + _HORIZON, "far": now + _LEASES_AHEAD * lease}
    with database.read() as connection:
        if connection.execute(text(_FREE), times).first() is None:
            return None
    skip = "" if database.is_sqlite else " FOR UPDATE OF p SKIP LOCKED"
    with database.write() as connection:
        lane = connection.execute(text(_FREE + skip), times).scalar()
        if lane is None:
            return None
        left_behind = connection.execute(_LEFT_BEHIND, {"name": lane}).scalar() is not None
        values = {"name": lane, "owner": owner, "until": now + lease, **times}
        fence = connection.execute(_LEASE, values).scalar()
        if fence is None:
            return None
        keys = _ready(connection, lane, times)
        if left_behind and keys:
            # Whoever had this lane was lost with its first part in hand.
            connection.execute(_STOPPED_AT, {"key": keys[0]})
        return Claim(lane, owner, fence, keys)


def _ready(connection: Connection, lane: str, times: Mapping[str, int]) -> tuple[int, ...]:
    """Return the next parts of a lane in order, up to the first that must wait for its time."""
    values = {"lane": lane, "some": _SOME, "now": times["now"]}
    keys = set(connection.execute(_RECEIVED, values).scalars())
    first_to_wait = None
    for key, ready_at in connection.execute(_WAITING, values):
        if times["now"] < ready_at <= times["horizon"]:
            first_to_wait = key
            break
        keys.add(key)
    listed = sorted(keys)[:_SOME]
    return tuple(key for key in listed if first_to_wait is None or key < first_to_wait)


def still_held(connection: Connection, held: Claim) -> bool:
    """Whether this worker still has the lane; locks the lane until the transaction ends."""
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    found = connection.execute(text(_FENCE + lock), {"name": held.lane, "owner": held.owner})
    return found.scalar() == held.fence


def renew(database: Database, held: Claim, now: int, lease: int) -> None:
    """Keep a lane that is still this worker's: its work takes longer than one lease."""
    with database.write() as connection:
        connection.execute(
            text("UPDATE lane SET leased_until = :until WHERE name = :name AND owner = :owner"
                 " AND fence = :fence"),
            {"name": held.lane, "owner": held.owner, "fence": held.fence, "until": now + lease},
        )  # fmt: skip


def release(database: Database, held: Claim) -> None:
    """Give a lane back at once."""
    with database.write() as connection:
        connection.execute(
            text("DELETE FROM lane WHERE name = :name AND owner = :owner AND fence = :fence"),
            {"name": held.lane, "owner": held.owner, "fence": held.fence},
        )


def finish(
    connection: Connection,
    part: Part,
    state: str,
    now: int,
    *,
    reason: str = "",
    detail: Sequence[Mapping[str, Any]] = (),
    account: Sequence[Mapping[str, Any]] = (),
    outcome: Sequence[str] = (),
    ready_at: int = 0,
    awaits: str | None = None,
    urgency: str = "routine",
) -> None:
    """Write what became of a part; `detail` holds places and texts, never values.

    `awaits` names the report (laboratory, line feed, number) whose coming releases a held part.
    What waited behind a part goes on when it is filed.
    """
    connection.execute(
        _FINISH,
        {
            "key": part.key, "state": state, "reason": reason, "now": now, "ready_at": ready_at,
            "awaits": awaits, "urgency": urgency,
            "detail": orjson.dumps(list(detail)).decode(),
            "account": orjson.dumps(list(account)).decode(),
            "outcome": orjson.dumps(list(outcome)).decode(),
        },
    )  # fmt: skip
    if state == "filed":
        unblock(connection, part.key, now)


_BLOCK = text(
    "INSERT INTO part_report (report, part_key) VALUES (:report, :key) ON CONFLICT DO NOTHING"
)
_BLOCKING = text("SELECT 1 FROM part_report WHERE report = :report AND part_key < :key LIMIT 1")
_GO_ON = text(
    "UPDATE part SET ready_at = :now WHERE state = 'waiting' AND reason = :blocked"
    " AND awaits IN (SELECT report FROM part_report WHERE part_key = :key)"
)
_NAMED = text("SELECT report FROM part_report WHERE part_key = :key ORDER BY report")
_UNBLOCK = text("DELETE FROM part_report WHERE part_key = :key")


def block(connection: Connection, part: Part, reports: Sequence[str]) -> None:
    """Note which reports a held part names: what comes later for them waits behind it."""
    for report in reports:
        connection.execute(_BLOCK, {"report": report, "key": part.key})


def named(connection: Connection, part: Part) -> list[str]:
    """Return the reports that a part named when it was held."""
    return list(connection.execute(_NAMED, {"key": part.key}).scalars())


def blocked(connection: Connection, part: Part, report: str) -> bool:
    """Whether an earlier part that names this report is held."""
    found = connection.execute(_BLOCKING, {"report": report, "key": part.key})
    return found.first() is not None


def wait_behind(connection: Connection, part: Part, report: str, now: int, urgency: str) -> None:
    """Let a part wait until the held one before it was filed or rejected."""
    finish(
        connection, part, "waiting", now, reason=_BLOCKED, ready_at=now + _RECHECK, awaits=report,
        urgency=urgency,
    )  # fmt: skip


def unblock(connection: Connection, part_key: int, now: int) -> None:
    """Let go on what waited behind a part that was filed or rejected."""
    connection.execute(_GO_ON, {"key": part_key, "now": now, "blocked": _BLOCKED})
    connection.execute(_UNBLOCK, {"key": part_key})


_WAKE = text(
    "UPDATE part SET state = 'received', reason = '', ready_at = :now, changed_at = :now,"
    " awaits = NULL WHERE awaits = :report AND state = 'held' AND key <> :key"
)


def wake(connection: Connection, report: str, part_key: int, now: int) -> None:
    """Release what waits for a report that has come with another part."""
    connection.execute(_WAKE, {"report": report, "key": part_key, "now": now})


def bring(connection: Connection, part_key: int) -> Part:
    """Return a part as it was claimed once, to read it again."""
    row = connection.execute(_ONE_PART, {"key": part_key}).mappings().one()
    return Part(**{**row, "raw": bytes(row["raw"])})
