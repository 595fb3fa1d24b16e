"""Refusals of nobody known, in the journal within a bound: an attacker must not fill the disk."""

from __future__ import annotations

import threading

from gateway.store.audit.event import Event
from gateway.store.audit.journal import Journal

_BURST = 60.0
_A_SECOND = 1.0
_TARGET = 200


class Refusals:
    """Records at most one a second for long, sixty at once; says how many it left out."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._left, self._at, self._unrecorded = _BURST, 0, 0

    def record(self, now: int, address: str, target: str, status: int = 401) -> bool:
        """Record a refusal without a client; False when it is only counted.

        `now` in microseconds. Raises StoreUnavailable.
        """
        with self._lock:
            passed = max(0, now - self._at) / 1e6
            self._left = min(_BURST, self._left + passed * _A_SECOND)
            self._at = now
            if self._left < 1:
                self._unrecorded += 1
                return False
            self._left -= 1
            unrecorded, self._unrecorded = self._unrecorded, 0
        detail = f"{unrecorded} more were not recorded" if unrecorded else ""
        self._journal.record(
            Event(now, "", "refusal", target[:_TARGET], status, address=address, detail=detail)
        )
        return True
