"""Application acknowledgements over the connection that a source has open."""

from __future__ import annotations

import socket
import threading
import time

from gateway.errors import StoreUnavailable
from gateway.pipeline.acknowledge import Acknowledger
from gateway.wire.mllp import wrap

_EVERY_SECONDS = 1.0
_SEND_SECONDS = 30.0


class OwedReplies:
    """What is owed to each source; shared by all connections of one listener."""

    def __init__(self, acknowledger: Acknowledger | None, asking: set[str]) -> None:
        self._acknowledger = acknowledger
        self._asking = asking
        self._locks: dict[str, threading.Lock] = {}

    def of(self, source: str) -> OwedToSource:
        """Return what one connection of a source sends when it is quiet."""
        lock = self._locks.setdefault(source, threading.Lock())
        return OwedToSource(self._acknowledger, source, self._asking, lock)


class OwedToSource:
    """Sends on one connection what is due to its source, when asked, at most once a second.

    A source that nobody heard asking is looked for once: it may have asked another process.
    """

    def __init__(
        self, acknowledger: Acknowledger | None, source: str, asking: set[str], lock: threading.Lock
    ) -> None:
        self._acknowledger, self._source = acknowledger, source
        self._asking, self._lock = asking, lock
        self._next = 0.0
        self._looked = False

    def send(self, connection: socket.socket) -> None:
        """Send what is due; raises OSError when the peer is gone, and then it stays due."""
        now = time.monotonic()
        if now < self._next or (self._looked and self._source not in self._asking):
            return
        self._next, self._looked = now + _EVERY_SECONDS, True
        if self._lock.acquire(blocking=False):
            try:
                self._send_all(connection)
            except StoreUnavailable:
                return  # still owed
            finally:
                self._lock.release()

    def _send_all(self, connection: socket.socket) -> None:
        if self._acknowledger is None:
            return
        for key, reply in self._acknowledger.due(self._source):
            connection.settimeout(_SEND_SECONDS)
            connection.sendall(wrap(reply))
            self._acknowledger.settle(key)
