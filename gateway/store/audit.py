"""The audit journal: who read what, one JSON line each, on disk before the reply leaves.

Every process appends to a file of its own. Each line carries a digest of itself and of the line
before it, so that a changed, missing or inserted line is evident. The journal says who was
looked up: it is as confidential as the record itself, and only its owner may read the folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import StoreUnavailable

_START = "0" * 64
_LINE = re.compile(rb'\{"digest":"([0-9a-f]{64})",(.*)\n')
_SYNC_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction of a client, allowed or refused.

    `target` is `Type` or `Type/id` or `Type/id/_history/n`; `query` the search as asked;
    `returned` the references that were handed over; `status` the HTTP status; `person` and
    `patient` the ids of who asked and about whom; `detail` a word such as an error code.
    """

    time: int
    client: str
    interaction: str
    target: str
    status: int
    query: str = ""
    returned: tuple[str, ...] = ()
    subject: str = ""
    purpose: str = ""
    person: str = ""
    patient: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many lines are sound, and the first that is not."""

    lines: int
    broken: int | None = None


class Journal:
    """Appends events; synced to disk within a second, or before returning with `sync`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: int | None = None
        self._process = 0
        self._size = 0
        self._previous = _START
        self._unsynced = threading.Event()
        self._failed = False

    def record(self, event: Event, *, sync: bool = False) -> None:
        """Append one event; raises StoreUnavailable when it cannot be written."""
        with self._lock:
            try:
                handle = self._open()
                digest, line = _line(self._previous, event)
                self._append(handle, line)
                if sync:
                    os.fsync(handle)
            except OSError as error:
                self._close()
                raise StoreUnavailable("the audit journal cannot be written") from error
            self._previous = digest
        self._unsynced.set()

    def close(self) -> None:
        """Sync and close the file of this process."""
        with self._lock:
            if self._file is not None and self._process == os.getpid():
                os.fsync(self._file)
            self._close()

    def _append(self, handle: int, line: bytes) -> None:
        written = os.write(handle, line)
        if written != len(line):
            # A torn line would break the chain: take it back before anything follows it.
            os.ftruncate(handle, self._size)
            raise OSError
        self._size += written

    def _open(self) -> int:
        if self._failed:
            self._failed = False
            self._close()
        if self._file is None or self._process != os.getpid():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._process = os.getpid()
            name = self._folder / f"{self._process}-{secrets.token_hex(8)}.ndjson"
            self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._size, self._previous = 0, _START
            self._unsynced = threading.Event()
            arguments = (self._file, self._unsynced)
            threading.Thread(target=self._sync, args=arguments, daemon=True).start()
        return self._file

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
            except OSError:
                # What was written may be lost: the next record starts a new file, or says 503.
                self._failed = True
            finally:
                os.close(mine)
            pause.wait(_SYNC_SECONDS)


def _line(previous: str, event: Event) -> tuple[str, bytes]:
    body = orjson.dumps(_fields(event))
    digest = hashlib.sha256(previous.encode() + body).hexdigest()
    return digest, b'{"digest":"%s",%s\n' % (digest.encode(), body[1:])


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "time": event.time,
        "client": event.client,
        "interaction": event.interaction,
        "target": event.target,
        "status": event.status,
    }
    optional = ("query", "returned", "subject", "purpose", "person", "patient", "detail")
    return fields | {name: value for name in optional if (value := getattr(event, name))}


def verify(path: Path) -> Verdict:
    """Check the chain of one file; `broken` is the number of the first line that is wrong.

    Lines cut off at the end leave no trace inside the file.
    """
    previous, sound = _START, 0
    with path.open("rb") as lines:
        for line in lines:
            found = _LINE.fullmatch(line)
            if not found:
                return Verdict(sound, sound + 1)
            digest = hashlib.sha256(previous.encode() + b"{" + found[2]).hexdigest()
            if digest.encode() != found[1]:
                return Verdict(sound, sound + 1)
            previous = digest
            sound += 1
    return Verdict(sound)
