"""Watches in the worker process: overdue held parts, the seals of the audit, and retention."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gateway.config import Settings
from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.audit.retention import purge_audit
from gateway.store.audit.sealer import Sealer
from gateway.store.database import Database
from gateway.store.overdue import Limits, note_overdue
from gateway.store.purge import Retention, purge

log = logging.getLogger(__name__)

_EVERY_SECONDS = 15.0
_PURGE_SECONDS = 3600.0
_SEAL_SECONDS = 5.0
_MINUTE = 60_000_000


class Watch:
    """Looks every quarter of a minute, until told to stop."""

    def __init__(
        self, database: Database, settings: Settings, clock: Callable[[], int], key: bytes = b""
    ) -> None:
        self._database, self._settings, self._clock, self._key = database, settings, clock, key
        self._sealer = Sealer(database, settings.data / "audit", clock, key)
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
            for run in (self._run, self._seal, self._keep_to_retention)
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
            self._try(self.look, "held messages could not be looked at; tried again")
            self._stop.wait(_EVERY_SECONDS)

    def _seal(self) -> None:
        while not self._stop.wait(_SEAL_SECONDS):
            self._try(self.seal, "the audit could not be sealed; tried again")

    def _keep_to_retention(self) -> None:
        self._stop.wait(_EVERY_SECONDS)
        while not self._stop.is_set():
            self._try(self._purge, "what is old was not purged; tried again in an hour")
            self._stop.wait(_PURGE_SECONDS)

    def _try(self, act: Callable[[], object], failure: str) -> None:
        try:
            act()
        except (StoreUnavailable, VersionConflict):
            log.warning(failure)
        except Exception:
            log.exception(failure)

    def _purge(self) -> None:
        stopping, now = self._stop.is_set, self._clock()
        purge(self._database, self._retention, now, stopping)
        days, folder = self._settings.audit_retention_days, self._settings.data / "audit"
        purge_audit(self._database, folder, days, now, self._key, stopping)

    def seal(self) -> int:
        """Put what the journals of all processes say under seals; returns how many lines.

        Raises StoreUnavailable.
        """
        return self._sealer.seal(self._stop.is_set)

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
