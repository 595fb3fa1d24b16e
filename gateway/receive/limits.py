"""Limits of one source among many: how many connections at once, and how fast they are read.

Nothing is refused to keep a limit while there is room to wait: what is over it waits unread,
and TCP makes the sender wait (ingest rule 3.2).
"""

from __future__ import annotations

import socket
import threading
from collections import Counter, deque
from collections.abc import Iterable
from enum import Enum

from gateway.source import Source

_BURST_SECONDS = 1.0


class Turn(Enum):
    """When a connection is served: at once, after another of its name, or not at all."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class Turns:
    """Counts the connections of each name and keeps those over its cap in a line, unread.

    At most `waiting_max` wait, one name may take half of these places: descriptors must not run
    out. Who finds no place is not served; leaving it in the backlog would shut out all others,
    for nobody can see who stands there.
    """

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._serving: Counter[str] = Counter()
        self._lines: dict[str, deque[socket.socket]] = {}
        self._waiting = 0

    def enter(self, name: str, cap: int, connection: socket.socket) -> Turn:
        """Take a turn for `name`, or a place in its line, which then owns the connection."""
        with self._lock:
            if not cap or self._serving[name] < cap:
                self._serving[name] += 1
                return Turn.NOW
            line = self._lines.get(name, deque())
            each = max(1, self._waiting_max // 2)
            if self._waiting >= self._waiting_max or len(line) >= each:
                return Turn.NEVER
            line.append(connection)
            self._lines[name] = line
            self._waiting += 1
            return Turn.LATER

    def leave(self, name: str) -> socket.socket | None:
        """End a turn; returns the connection that has it now, none when nobody waits."""
        with self._lock:
            line = self._lines.get(name)
            if line:
                self._waiting -= 1
                following = line.popleft()
                if not line:
                    del self._lines[name]
                return following
            self._serving[name] -= 1
            if not self._serving[name]:
                del self._serving[name]
            return None

    def drain(self) -> list[socket.socket]:
        """Empty all lines and return who stood there."""
        with self._lock:
            left = [one for line in self._lines.values() for one in line]
            self._lines.clear()
            self._waiting = 0
            return left


class Rate:
    """A token bucket that all connections of one source share; it holds one second's bytes."""

    def __init__(self, bytes_a_second: int) -> None:
        self.bytes_a_second = bytes_a_second
        self._lock = threading.Lock()
        self._paid_at = float("-inf")

    def delay(self, now: float) -> float:
        """Return the seconds until what was read is paid for; nothing is read before."""
        with self._lock:
            return max(0.0, self._paid_at - now)

    def take(self, size: int, now: float) -> None:
        """Owe for `size` bytes that were read."""
        with self._lock:
            since = max(self._paid_at, now - _BURST_SECONDS)
            self._paid_at = since + size / self.bytes_a_second


def rates_of(sources: Iterable[Source]) -> dict[str, Rate]:
    """Return a bucket for each source that has a rate, by its name."""
    return {one.name: Rate(one.bytes_a_second) for one in sources if one.bytes_a_second}
