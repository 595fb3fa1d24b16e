"""Claims lanes and runs the pipeline on them, in threads, until told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.pipeline.file import Office, file_part
from gateway.store import work
from gateway.store.work import Claim

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.1
# A lane in hand is leased again when this part of its lease has passed.
_RENEW_AFTER = 3


class Worker:
    """A few threads that file what was accepted, and one that keeps their leases."""

    def __init__(self, office: Office, threads: int) -> None:
        self._office = office
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._leases = Leases(office)
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]
        self._keeper = threading.Thread(
            target=self._leases.run, args=(self._ended,), name="leases", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._keeper.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the part in hand and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._ended.set()
        self._keeper.join()

    def _run(self) -> None:
        owner = uuid4().hex
        while not self._stop.is_set():
            try:
                busy = run_once(self._office, owner, self._stop.is_set, self._leases)
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


class Leases:
    """Renews the leases of lanes in hand: a long message is no lost worker."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Claim, int]] = {}

    @contextmanager
    def keep(self, claim: Claim) -> Iterator[None]:
        """Keep a lane while it is worked on."""
        with self._lock:
            self._held[claim.lane] = claim, self._office.clock()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(claim.lane, None)

    def run(self, ended: threading.Event) -> None:
        """Renew what needs it until ended."""
        while not ended.wait(self._office.settings.lease_seconds / _RENEW_AFTER):
            try:
                self.renew()
            except (StoreUnavailable, VersionConflict):
                log.warning("leases could not be renewed; tried again")
            except Exception:
                log.exception("leases could not be renewed; tried again")

    def renew(self) -> None:
        """Lease again every lane whose lease is partly over. Raises StoreUnavailable."""
        now, lease = self._office.clock(), int(self._office.settings.lease_seconds * 1e6)
        with self._lock:
            due = [claim for claim, at in self._held.values() if now - at >= lease // _RENEW_AFTER]
        for claim in due:
            work.renew(self._office.database, claim, now, lease)


def run_once(
    office: Office,
    owner: str,
    stopping: Callable[[], bool] = lambda: False,
    leases: Leases | None = None,
) -> bool:
    """Claim one lane and file its parts in order; False when there was nothing to do."""
    lease = int(office.settings.lease_seconds * 1e6)
    claim = work.claim(office.database, owner, office.clock(), lease)
    if claim is None:
        return False
    try:
        with (leases or Leases(office)).keep(claim):
            _file_parts(office, claim, stopping)
    finally:
        # After a fault too: a lane that is left behind is the sign of a lost worker.
        work.release(office.database, claim)
    return True


def _file_parts(office: Office, claim: Claim, stopping: Callable[[], bool]) -> None:
    for key in claim.parts:
        # One at a time: a message may be large, and a lane may be long.
        with office.database.read() as connection:
            part = work.bring(connection, key)
        if file_part(claim, part, office) in ("lost", "waiting") or stopping():
            return
