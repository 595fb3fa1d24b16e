"""The drop folder: a source puts files into a folder, and finds their acknowledgements there.

Polling alone, so that network shares work: a file is taken when its size and time have not
changed between two looks. It is accepted first, then answered by `<name>.ack`, then moved to
`done/` or `refused/` under the digest of its content. Killed between any two of these, the next
look does it again: acceptance knows the message, and gives the same answer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings
from gateway.errors import GatewayError, MessageTooLarge, StoreUnavailable
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.source import Source
from gateway.wire.acknowledgement import is_positive

log = logging.getLogger(__name__)

DONE, REFUSED = "done", "refused"
_UNFINISHED = (".tmp", ".part", ".ack", ".error")
_KEPT_OF_TOO_LARGE = 65_536
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LABEL_LENGTH = 80


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like; the same twice means that nobody writes to it any more."""

    size: int
    changed: int


class FolderDoor:
    """Takes files from one folder until stopped."""

    def __init__(
        self, source: Source, folder: Path, intake: Intake, settings: Settings,
        clock: Callable[[], int],
    ) -> None:  # fmt: skip
        self._source, self._folder, self._intake = source, folder, intake
        self._settings, self._clock = settings, clock
        self._seen: dict[Path, _Seen] = {}
        self._failed: dict[Path, _Seen] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="folder", daemon=True)

    def start(self) -> None:
        """Begin to look; a folder that is not there yet is looked for again."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the file in hand and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except StoreUnavailable:
                log.error("a file waits: the store is unavailable", extra=self._where())  # noqa: TRY400 - expected, no trace
            except OSError:
                log.exception("the folder cannot be read", extra=self._where())
            except Exception:
                log.exception("the folder failed and goes on", extra=self._where())
            self._stop.wait(self._settings.folder_poll_seconds)

    def look(self) -> int:
        """Take every file that has not changed since the last look; return how many.

        Raises StoreUnavailable, and OSError when the folder itself cannot be used.
        """
        found = dict(self._files())
        still = [path for path, seen in found.items() if self._seen.get(path) == seen]
        self._seen = found
        taken = 0
        for path in sorted(still, key=lambda one: (found[one].changed, one.name)):
            if self._stop.is_set():
                break
            if self._failed.get(path) != found[path]:
                taken += self._take(path, found[path])
        self._failed = {path: seen for path, seen in self._failed.items() if path in found}
        self._tell_what_is_owed()
        return taken

    def _files(self) -> Iterator[tuple[Path, _Seen]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED):
                    continue
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    yield Path(entry.path), _Seen(about.st_size, about.st_mtime_ns)

    def _take(self, path: Path, seen: _Seen) -> bool:
        """Accept, answer and move one file; False when it is left for another look."""
        try:
            raw, digest, defect = self._read(path, seen)
        except FileNotFoundError:
            return False  # another process was faster
        except OSError:
            self._failed[path] = seen
            log.exception("a file cannot be read", extra=self._where())
            return False
        if raw is None:
            return False
        self._intake.tally.received(self._source.name)
        arrival = Arrival(raw, self._source, self._clock(), defect)
        try:
            reply = accept(arrival, self._intake, must_keep=True)
        except StoreUnavailable:
            # The file is the sender's until it is stored: it comes again, as another frame.
            self._intake.tally.answered(self._source.name, False)
            raise
        if reply:
            self._answer(path, digest, reply)
            self._intake.tally.answered(self._source.name, is_positive(reply))
        self._move(path, digest, DONE if is_positive(reply) or not reply else REFUSED)
        return True

    def _read(self, path: Path, seen: _Seen) -> tuple[bytes | None, str, GatewayError | None]:
        """Return the content, its digest, and what is wrong with it; None when it grew again."""
        with path.open("rb") as file:
            if seen.size > self._settings.max_message_bytes:
                start = file.read(_KEPT_OF_TOO_LARGE)
                return start, hashlib.sha256(start).hexdigest(), MessageTooLarge()
            raw = file.read(seen.size + 1)
        if len(raw) != seen.size:
            return None, "", None
        return raw, hashlib.sha256(raw).hexdigest(), None

    def _answer(self, path: Path, digest: str, reply: bytes) -> None:
        try:
            self._place(path.with_name(f"{path.name}.ack"), reply)
        except OSError:
            # Its name is too long for one more ending, say.
            self._place(path.with_name(f"{digest}.ack"), reply)

    def _tell_what_is_owed(self) -> None:
        """Write the application acknowledgements that are due, each into a file of its own."""
        if self._intake.acknowledger is None:
            return
        for key, reply in self._intake.acknowledger.due(self._source.name):
            self._place(self._folder / f"message-{key}.application.ack", reply)
            self._intake.acknowledger.settle(key)

    def _place(self, path: Path, content: bytes) -> None:
        """Write a file so that it is complete and durable before its name exists."""
        handle, name = tempfile.mkstemp(prefix=".new-", suffix=".tmp", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        _sync(self._folder)

    def _move(self, path: Path, digest: str, to: str) -> None:
        folder = self._folder / to
        folder.mkdir(exist_ok=True)
        label = _UNSAFE.sub("_", path.name)[-_LABEL_LENGTH:]
        try:
            path.replace(folder / f"{digest}-{label}")
        except FileNotFoundError:
            return  # another process was faster
        self._seen.pop(path, None)
        _sync(folder)
        _sync(self._folder)

    def _where(self) -> dict[str, str]:
        return {"source": self._source.name}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        log.debug("this share cannot sync a folder")
    finally:
        os.close(handle)
