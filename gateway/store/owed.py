"""Messages whose sender is owed an application acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

_DUE = text(
    "SELECT m.key, m.raw, m.application_wanted AS wanted, p.state, p.detail FROM message m"
    " JOIN part p ON p.message_key = m.key WHERE m.key IN (SELECT d.key FROM message d"
    " WHERE d.source = :source AND d.application_wanted <> '' AND NOT EXISTS (SELECT 1 FROM part o"
    " WHERE o.message_key = d.key AND o.state IN ('received', 'waiting'))"
    " ORDER BY d.key LIMIT 50) ORDER BY m.key, p.ordinal"
)
_SETTLE = text("UPDATE message SET application_wanted = '' WHERE key = :settled")


@dataclass(frozen=True, slots=True)
class Owed:
    """A message that is done, with the states of its parts and their notes (JSON)."""

    key: int
    raw: bytes
    wanted: str
    states: tuple[str, ...]
    details: tuple[str, ...]


def due(connection: Connection, source: str) -> list[Owed]:
    """Return the messages of a source that are done and not yet told of, in order, some at once."""
    found: dict[int, Owed] = {}
    for row in connection.execute(_DUE, {"source": source}):
        before = found.get(row.key)
        states = (*(before.states if before else ()), row.state)
        details = (*(before.details if before else ()), row.detail)
        found[row.key] = Owed(row.key, bytes(row.raw), row.wanted, states, details)
    return list(found.values())


def settle(connection: Connection, keys: Sequence[int]) -> None:
    """Note that these messages are owed nothing more."""
    connection.execute(_SETTLE, [{"settled": key} for key in keys])
