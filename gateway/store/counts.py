"""How much there is of what: messages by source and answer, parts by state, ages of the oldest.

Cheap at any size: messages are only ever added, so those counted once are remembered, and of
parts only those that are not filed are looked at.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

# PostgreSQL: a transaction that took its number earlier may be seen later; so many later ones
# are counted anew each time.
_UNSETTLED = 10_000

_BY_KIND = "SELECT source, sender, state, answer, control_id_reused, count(*) FROM message"
# The plus keeps SQLite from the rows themselves, which hold the bytes: an index has all of this.
_ALL_MESSAGES = text(f"{_BY_KIND} WHERE +key <= :upto GROUP BY 1, 2, 3, 4, 5")
_MESSAGES = text(f"{_BY_KIND} WHERE key > :after AND key <= :upto GROUP BY 1, 2, 3, 4, 5")
_NEWEST = text("SELECT max(key) FROM message")
_PARTS = text("SELECT count(*) FROM part WHERE message_key > :after AND message_key <= :upto")
_UNFILED = text(
    "SELECT state, count(*) FROM part WHERE state IN ('received', 'waiting', 'rejected')"
    " GROUP BY state"
)
_HELD = text(
    "SELECT reason, urgency, count(*), min(changed_at) FROM part WHERE state = 'held'"
    " GROUP BY reason, urgency"
)
# A part is ready from the moment it came, or was released: the first in the index is the oldest.
_OLDEST_RECEIVED = text("SELECT min(ready_at) FROM part WHERE state = 'received'")
_OLDEST_WAITING = text(
    "SELECT m.received_at FROM message m JOIN part p ON p.message_key = m.key"
    " WHERE p.key = (SELECT min(key) FROM part WHERE state = 'waiting')"
)


class Kind(NamedTuple):
    """What a message is counted by."""

    source: str
    sender: str
    state: str
    answer: str
    control_id_reused: bool

    @property
    def positive(self) -> bool:
        """Whether it was answered AA or CA."""
        return self.answer in ("AA", "CA")


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages by kind; parts by state and, when held, reason; instants of the oldest that wait."""

    messages: Counter[Kind]
    parts: dict[tuple[str, str], int]
    oldest_held: dict[str, int]
    oldest_received: int | None
    oldest_waiting: int | None

    @property
    def backlog(self) -> int:
        """Parts that wait for the gateway, not for a person."""
        return sum(self.parts.get((state, ""), 0) for state in ("received", "waiting"))

    @property
    def oldest(self) -> int | None:
        """Since when the oldest part of the backlog waits."""
        return min(filter(None, (self.oldest_received, self.oldest_waiting)), default=None)


class Counting:
    """Counts, and remembers the messages that it has counted: they are only ever added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: Counter[Kind] = Counter()
        self._parts = 0
        self._upto = 0

    def count(self, connection: Connection) -> Counts:
        """Return how much there is of everything."""
        states, oldest = _held(connection)
        states |= {(state, ""): count for state, count in connection.execute(_UNFILED)}
        with self._lock:
            messages, parts = self._arrived(connection)
        states["filed", ""] = max(0, parts - sum(states.values()))
        received = connection.execute(_OLDEST_RECEIVED).scalar()
        waiting = connection.execute(_OLDEST_WAITING).scalar()
        return Counts(messages, states, oldest, received, waiting)

    def _arrived(self, connection: Connection) -> tuple[Counter[Kind], int]:
        newest = connection.execute(_NEWEST).scalar() or 0
        settled = newest if connection.dialect.name == "sqlite" else newest - _UNSETTLED
        if settled > self._upto:
            self._messages += count_messages(connection, self._upto, settled)
            self._parts += _count_parts(connection, self._upto, settled)
            self._upto = settled
        if newest == self._upto:
            return self._messages.copy(), self._parts
        return (
            self._messages + count_messages(connection, self._upto, newest),
            self._parts + _count_parts(connection, self._upto, newest),
        )


def count_messages(connection: Connection, after: int = 0, upto: int = 2**62) -> Counter[Kind]:
    """Return how many messages of each kind have keys in this range, by default all."""
    query = _MESSAGES if after else _ALL_MESSAGES
    rows = connection.execute(query, {"after": after, "upto": upto} if after else {"upto": upto})
    return Counter({
        Kind(source, sender, state, answer, bool(reused)): count
        for source, sender, state, answer, reused, count in rows
    })  # fmt: skip


def _count_parts(connection: Connection, after: int, upto: int) -> int:
    return int(connection.execute(_PARTS, {"after": after, "upto": upto}).scalar_one())


def _held(connection: Connection) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    states: dict[tuple[str, str], int] = {}
    oldest: dict[str, int] = {}
    for reason, urgency, count, since in connection.execute(_HELD):
        states["held", reason] = states.get(("held", reason), 0) + count
        oldest[urgency] = min(since, oldest.get(urgency, since))
    return states, oldest
