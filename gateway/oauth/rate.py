"""How often one caller may ask: counted in each process, by the minute."""

from __future__ import annotations

import threading
from collections.abc import Callable

_MINUTE = 60_000_000
_COUNTED_MAX = 50_000


class RateLimit:
    """Counts by key; `clock` gives microseconds since 1970."""

    def __init__(self, per_minute: int, clock: Callable[[], int]) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def wait(self, key: str, *, times: int = 1) -> int:
        """Count one request of a key; return the seconds to wait, 0 when it is within the limit.

        `times` multiplies the limit, for keys that many share.
        """
        now = self._clock()
        minute = now // _MINUTE
        with self._lock:
            if minute != self._minute or len(self._counts) >= _COUNTED_MAX:
                self._minute = minute
                self._counts.clear()
            count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= self._per_minute * times:
            return 0
        return int(((minute + 1) * _MINUTE - now) // 1_000_000) + 1
