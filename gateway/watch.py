"""Watches over held parts in the worker process: one line in the log for each that is overdue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gateway.config import Settings
from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.database import Database
from gateway.store.overdue import Limits, note_overdue

log = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
_MINUTE = 60_000_000


class Watch:
    """Looks every quarter of a minute, until told to stop."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock
        self._limits = Limits(
            settings.held_alert_stat_minutes * _MINUTE,
            settings.held_alert_urgent_minutes * _MINUTE,
            settings.held_alert_routine_minutes * _MINUTE,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except (StoreUnavailable, VersionConflict):
                log.warning("held messages could not be looked at; tried again")
            except Exception:
                log.exception("held messages could not be looked at; tried again")
            self._stop.wait(_EVERY_SECONDS)

    def look(self) -> int:
        """Report each overdue part once for each time its limit has passed; return how many.

        Raises StoreUnavailable. Of several processes one reports a part.
        """
        return note_overdue(self._database, self._limits, self._clock(), _warn)


def _warn(part: int, message_key: int, source: str, sender: str, reason: str, urgency: str) -> None:
    log.warning(
        "a held message waits too long for a person",
        extra={"part": part, "message_key": message_key, "source": source, "sender": sender,
               "reason": reason, "urgency": urgency},
    )  # fmt: skip
