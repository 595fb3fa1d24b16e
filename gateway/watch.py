"""Watches in the worker process: a line in the log for each overdue held part, and retention."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gateway.config import Settings
from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.database import Database
from gateway.store.overdue import Limits, note_overdue
from gateway.store.purge import Retention, purge

log = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
_PURGE_SECONDS = 3600.0
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
        self._retention = Retention(settings.retention_days, settings.refused_retention_days)
        self._stop = threading.Event()
        # Each in its own thread: the first purge of an old store takes hours, alerts go on.
        self._threads = [
            threading.Thread(target=run, name="watch", daemon=True)
            for run in (self._run, self._keep_to_retention)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except (StoreUnavailable, VersionConflict):
                log.warning("held messages could not be looked at; tried again")
            except Exception:
                log.exception("held messages could not be looked at; tried again")
            self._stop.wait(_EVERY_SECONDS)

    def _keep_to_retention(self) -> None:
        self._stop.wait(_EVERY_SECONDS)
        while not self._stop.is_set():
            try:
                purge(self._database, self._retention, self._clock(), self._stop.is_set)
            except (StoreUnavailable, VersionConflict):
                log.warning("old messages were not purged; tried again in an hour")
            except Exception:
                log.exception("old messages were not purged; tried again in an hour")
            self._stop.wait(_PURGE_SECONDS)

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
