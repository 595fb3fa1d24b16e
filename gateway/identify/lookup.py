"""When another index of patients is asked, and how long an answer counts: policy, without I/O.

An index that fails again and again is left alone for a while (`Breaker`). An answer that found
somebody is remembered for a short time (`Remembered`); that nobody was found is never
remembered, for the patient may be registered the next minute. Time is an argument: microseconds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from gateway.report import Identifier, Patient

_FAILURES = 5
_REST = 30_000_000
_MOST = 10_000


class Breaker:
    """Opens after some failures in a row; after a rest one try is let through."""

    def __init__(self, failures: int = _FAILURES, rest: int = _REST) -> None:
        self._lock = threading.Lock()
        self._failures, self._most, self._rest = 0, failures, rest
        self._until = 0

    def lets_through(self, now: int) -> bool:
        """Whether to try; while it is open, one caller after each rest."""
        with self._lock:
            if self._failures < self._most:
                return True
            if now < self._until:
                return False
            self._until = now + self._rest
            return True

    def succeeded(self) -> None:
        """Note an answer, whatever it said."""
        with self._lock:
            self._failures = 0

    def failed(self, now: int) -> None:
        """Note that there was no answer."""
        with self._lock:
            self._failures += 1
            self._until = now + self._rest


class Remembered:
    """Patients that were found, by the number that was asked, for `life` microseconds."""

    def __init__(self, life: int) -> None:
        self._lock = threading.Lock()
        self._life = life
        self._found: OrderedDict[tuple[str, str], tuple[int, tuple[Patient, ...]]] = OrderedDict()

    def get(self, one: Identifier, now: int) -> tuple[Patient, ...]:
        """Return who was found by a number lately; nobody when it is not known."""
        with self._lock:
            since, found = self._found.get((one.system, one.value), (0, ()))
        return found if now < since + self._life else ()

    def put(self, one: Identifier, found: Sequence[Patient], now: int) -> None:
        """Remember who was found; that nobody was is not kept."""
        if not found or not self._life:
            return
        with self._lock:
            self._found[one.system, one.value] = now, tuple(found)
            self._found.move_to_end((one.system, one.value))
            while len(self._found) > _MOST:
                self._found.popitem(last=False)


def answers(one: Identifier, found: Sequence[Patient]) -> tuple[Patient, ...]:
    """Keep of an answer only who has the very number that was asked, and no one merely like."""
    wanted = (one.system, one.value)
    return tuple(
        patient for patient in found
        if wanted in {(of.system, of.value) for of in patient.identifiers}
    )  # fmt: skip
