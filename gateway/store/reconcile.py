"""A laboratory's list of authorised reports against ours: nothing may be missing unseen.

Both sides are streamed; the list is kept in a private database on disk while it is compared, so
that its length does not matter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

_STEP = 500
_LATER = 10 * 60 * 1_000_000  # how far two clocks may differ
_WITHDRAWN = "entered-in-error"

_LABORATORIES = text("SELECT DISTINCT laboratory FROM report")
_NAMED = {
    "sqlite": text("SELECT DISTINCT substr(report, 1, instr(report, char(10)) - 1)"
                   " FROM part_report"),
    "postgresql": text("SELECT DISTINCT split_part(report, chr(10), 1) FROM part_report"),
}  # fmt: skip
_REPORTS = text(
    "SELECT r.number, r.status, max(e.received_at) AS newest FROM report r"
    " LEFT JOIN edition e ON e.report_key = r.key"
    " WHERE r.laboratory = :laboratory AND r.number IN :numbers GROUP BY r.number, r.status"
).bindparams(bindparam("numbers", expanding=True))
# A part that is held names its reports; one that waits behind it names the report it waits for.
_PARTS = text(
    "SELECT n.report, p.message_key, p.state, p.reason, p.key FROM part_report n"
    " JOIN part p ON p.key = n.part_key WHERE n.report IN :reports"
    " UNION SELECT p.awaits, p.message_key, p.state, p.reason, p.key FROM part p"
    " WHERE p.awaits IN :reports AND p.state IN ('held', 'waiting') ORDER BY 5"
).bindparams(bindparam("reports", expanding=True))
_PUBLISHED = text(
    "SELECT number, status, published_at FROM report"
    " WHERE laboratory = :laboratory AND number > :after ORDER BY number LIMIT :limit"
)


class Found(StrEnum):
    """What became of one report."""

    MISSING = "missing"
    HELD = "held"
    WAITING = "waiting"
    EXTRA = "extra"
    MATCHED = "matched"


class Listed(NamedTuple):
    """One report of the laboratory's list; `authorised` None when the list does not say when."""

    number: str
    authorised: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One report, what became of it, and the message and reason where one is known."""

    found: Found
    number: str
    message_key: int | None = None
    reason: str = ""


def reconcile(
    connection: Connection, listed: Iterable[Listed], laboratory: str, since: int, now: int
) -> Iterator[Finding]:
    """Yield a finding for each listed report authorised since then, then those we have besides.

    `laboratory` is the code or the words of the reporting laboratory, as reports carry it.
    """
    names = _names(connection, laboratory)
    with closing(sqlite3.connect("")) as kept:  # on disk, and gone when it is closed
        kept.execute("CREATE TABLE listed (number TEXT PRIMARY KEY, authorised INTEGER)")
        kept.executemany(
            "INSERT INTO listed VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET authorised ="
            " CASE WHEN authorised IS NULL OR excluded.authorised IS NULL THEN NULL"
            " ELSE max(authorised, excluded.authorised) END",
            listed,
        )
        wanted = kept.execute(
            "SELECT number, authorised FROM listed WHERE authorised IS NULL OR authorised >= ?"
            " ORDER BY number", (since,),
        )  # fmt: skip
        while some := [Listed(*row) for row in islice(wanted, _STEP)]:
            yield from _compare(connection, some, names, now)
        for name in names:
            yield from _extra(connection, kept, name, since)


def _names(connection: Connection, laboratory: str) -> Sequence[str]:
    """Return how this laboratory is written in our rows: by its code with a system, or in words."""
    known = set(connection.execute(_LABORATORIES).scalars())
    known |= set(connection.execute(_NAMED[connection.dialect.name]).scalars())
    wanted = laboratory.strip().casefold()
    same = {one for one in known if wanted in (one.casefold(), one.rpartition("|")[2].casefold())}
    return sorted(same | {laboratory})


def _compare(
    connection: Connection, some: Sequence[Listed], names: Sequence[str], now: int
) -> Iterator[Finding]:
    reports: dict[str, tuple[str, int]] = {}
    parts: dict[str, list[tuple[int, str, str]]] = {}
    numbers = [one.number for one in some]
    for name in names:
        rows = connection.execute(_REPORTS, {"laboratory": name, "numbers": numbers})
        reports |= {number: (status, newest or 0) for number, status, newest in rows if status}
        named = [f"{name}\n{number}" for number in numbers]
        for report, key, state, reason, _ in connection.execute(_PARTS, {"reports": named}):
            parts.setdefault(report.partition("\n")[2], []).append((key, state, reason))
    for one in some:
        yield _decide(one, reports.get(one.number), parts.get(one.number, ()), now)


def _decide(
    one: Listed,
    report: tuple[str, int] | None,
    parts: Sequence[tuple[int, str, str]],
    now: int,
) -> Finding:
    """What waits for a person comes first: the version that is listed may be the one that waits."""
    states: Mapping[str, tuple[int, str, str]] = {part[1]: part for part in parts}
    if held := states.get("held"):
        return Finding(Found.HELD, one.number, held[0], held[2])
    if waiting := states.get("received") or states.get("waiting"):
        return Finding(Found.WAITING, one.number, waiting[0], waiting[2])
    if report is None:
        if rejected := states.get("rejected"):
            return Finding(Found.MISSING, one.number, rejected[0], "rejected by a person")
        return Finding(Found.MISSING, one.number)
    status, newest = report
    if status == _WITHDRAWN:
        return Finding(Found.MISSING, one.number, None, "withdrawn here")
    # A version cannot have come before it was authorised; a time to come says nothing.
    if one.authorised and newest + _LATER < one.authorised <= now:
        return Finding(Found.MISSING, one.number, None, "only an earlier version came")
    return Finding(Found.MATCHED, one.number)


def _extra(
    connection: Connection, kept: sqlite3.Connection, laboratory: str, since: int
) -> Iterator[Finding]:
    after = ""
    while True:
        values = {"laboratory": laboratory, "after": after, "limit": _STEP}
        rows = connection.execute(_PUBLISHED, values).all()
        for number, status, published in rows:
            if not status or status == _WITHDRAWN or (published or 0) < since:
                continue
            if not kept.execute("SELECT 1 FROM listed WHERE number = ?", (number,)).fetchone():
                yield Finding(Found.EXTRA, number)
        if len(rows) < _STEP:
            return
        after = rows[-1][0]
