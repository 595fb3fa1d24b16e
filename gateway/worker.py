"""Claims lanes and runs the pipeline on them, in threads, until told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import uuid4

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.pipeline.file import Office, file_part
from gateway.store import work

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.1


class Worker:
    """A few threads that file what was accepted."""

    def __init__(self, office: Office, threads: int) -> None:
        self._office = office
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the part in hand and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        owner = uuid4().hex
        while not self._stop.is_set():
            try:
                busy = run_once(self._office, owner, self._stop.is_set)
            except VersionConflict:
                busy = False  # another worker took the lane first
            except StoreUnavailable:
                log.error("the store is unavailable; work goes on when it is back")  # noqa: TRY400 - expected, no trace
                busy = False
                self._stop.wait(self._office.settings.retry_seconds)
            except Exception:
                log.exception("a worker failed and goes on")
                busy = False
                self._stop.wait(self._office.settings.retry_seconds)
            if not busy:
                self._stop.wait(_IDLE_SECONDS)


def run_once(office: Office, owner: str, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Claim one lane and file its parts in order; False when there was nothing to do."""
    lease = int(office.settings.lease_seconds * 1e6)
    claim = work.claim(office.database, owner, office.clock(), lease)
    if claim is None:
        return False
    try:
        _file_parts(office, claim, stopping)
    finally:
        # After a fault too: a lane that is left behind is the sign of a lost worker.
        work.release(office.database, claim)
    return True


def _file_parts(office: Office, claim: work.Claim, stopping: Callable[[], bool]) -> None:
    for key in claim.parts:
        # One at a time: a message may be large, and a lane may be long.
        with office.database.read() as connection:
            part = work.bring(connection, key)
        if file_part(claim, part, office) in ("lost", "waiting") or stopping():
            return
