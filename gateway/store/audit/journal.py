"""The audit journal: who read what, one JSON line each, on disk before the reply leaves.

Every process appends to segments of its own, named `<process>-<random>-<number>.ndjson` and
announced in the database before anything is in them, so that one that vanishes is missed. The
journal says who was looked up: it is as confidential as the record itself, and only its owner
may read the folder.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
import time
from pathlib import Path

from gateway.errors import StoreUnavailable
from gateway.store.audit.event import START, Event, Head, write_line
from gateway.store.audit.segments import announce
from gateway.store.database import Database

_SYNC_SECONDS = 0.5
_SEGMENT_BYTES = 64 << 20
_SEGMENT_SECONDS = 86_400.0


class Journal:
    """Appends events; synced to disk within a second, or before returning with `sync`.

    Without a database its segments are announced to nobody, and are sealed only when adopted.
    """

    def __init__(
        self, folder: Path, database: Database | None = None, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        self._folder, self._database, self._segment_bytes = folder, database, segment_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._announced = False
        self._process = 0
        self._stream = self._name = ""
        self._number = self._size = 0
        self._until = 0.0
        self._previous = START
        self._unsynced = threading.Event()
        self._failed = False

    def record(self, event: Event, *, sync: bool = False) -> None:
        """Append one event; raises StoreUnavailable when it cannot be written."""
        with self._lock:
            try:
                handle = self._ready(event.time)
                self._append(handle, event)
                if sync:
                    self._sync_now(handle)
            except OSError as error:
                raise StoreUnavailable("the audit journal cannot be written") from error
        if not self._unsynced.is_set():
            self._unsynced.set()

    def prepare(self, now: int) -> None:
        """Open what the next record needs, for who records inside a transaction that writes.

        A new segment is announced in the database, which has room for one writer. Raises
        StoreUnavailable.
        """
        with self._lock:
            try:
                self._ready(now)
            except OSError as error:
                self._close()
                raise StoreUnavailable("the audit journal cannot be written") from error

    def close(self) -> None:
        """Sync and close the file of this process."""
        with self._lock:
            if self._file is not None and self._process == os.getpid():
                os.fsync(self._file)
            self._close()

    def _append(self, handle: int, event: Event | Head) -> None:
        digest, line = write_line(self._previous, event)
        try:
            written = os.write(handle, line)
        except OSError:
            written = -1
        if written != len(line):
            # A torn line would break the chain: take it back before anything follows it.
            self._take_back(handle)
            raise OSError
        self._size += written
        self._previous = digest

    def _take_back(self, handle: int) -> None:
        try:
            os.ftruncate(handle, self._size)
        except OSError:
            self._failed = True
            raise

    def _sync_now(self, handle: int) -> None:
        try:
            os.fsync(handle)
        except OSError:
            self._failed = True
            raise

    def _ready(self, now: int) -> int:
        """Return the file to append to: a new one when there is none, it is full, old or lost."""
        mine = self._file is not None and self._process == os.getpid()
        if not mine or self._failed:
            self._close()
            self._begin_stream()
        full = self._size >= self._segment_bytes or time.monotonic() > self._until
        if self._file is None or full:
            self._begin_segment(now)
        if not self._announced and self._database is not None:
            announce(self._database, self._name, now, socket.gethostname())
        self._announced = True
        assert self._file is not None  # noqa: S101 - for the type checker
        return self._file

    def _begin_stream(self) -> None:
        self._process = os.getpid()
        self._stream = f"{self._process}-{secrets.token_hex(8)}"
        self._number, self._previous, self._failed = 0, START, False

    def _begin_segment(self, now: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{self._stream}-{self._number:06}"
        path = self._folder / f"{name}.ndjson"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        after, size = self._previous, self._size
        self._previous, self._size = START, 0
        try:
            # Held as long as this process may write to it: what is held is not purged.
            fcntl.flock(handle, fcntl.LOCK_SH)
            self._append(handle, Head(name, after, socket.gethostname(), now))
            os.fsync(handle)
            _sync_folder(self._folder)
        except OSError:
            path.unlink()
            os.close(handle)
            self._previous, self._size = after, size
            raise
        if self._file is not None:
            os.fsync(self._file)
        self._close()
        self._file, self._name, self._announced = handle, name, False
        self._number += 1
        self._until = time.monotonic() + _SEGMENT_SECONDS
        self._unsynced = threading.Event()
        arguments = (handle, self._unsynced)
        threading.Thread(target=self._sync, args=arguments, daemon=True).start()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._unsynced.set()  # lets the thread of this file notice and end

    def _sync(self, handle: int, unsynced: threading.Event) -> None:
        pause = threading.Event()
        while True:
            unsynced.wait()
            with self._lock:
                if self._file != handle or self._unsynced is not unsynced:
                    return
                unsynced.clear()
                mine = os.dup(handle)
            try:
                os.fsync(mine)
                # Somebody removed the file: what goes on being written to it would be lost.
                self._failed |= not os.fstat(mine).st_nlink
            except OSError:
                # What was written may be lost: the next record starts a new file, or says 503.
                self._failed = True
            finally:
                os.close(mine)
            pause.wait(_SYNC_SECONDS)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
