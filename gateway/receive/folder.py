"""The drop folder: a source puts files into a folder, and finds their acknowledgements there.

Polling alone, so that network shares work: a file is taken when its size and time have not
changed between two looks. It is accepted where it lies, then claimed (renamed into a folder of
its own below `.taken/`, where no later file of its name can replace it), answered by
`<name>.ack`, and moved to `done/` or `refused/` under the digest of its content. Killed between
any two of these, the next look does it again: acceptance knows the message, and gives the same
answer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings
from gateway.errors import MessageTooLarge, StoreUnavailable
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.source import Source
from gateway.wire.acknowledgement import is_positive

log = logging.getLogger(__name__)

DONE, REFUSED, TAKEN = "done", "refused", ".taken"
_UNFINISHED = (".tmp", ".part", ".ack", ".error")
_NEW = ".new-"
_KEPT_OF_TOO_LARGE = 65_536
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LABEL_LENGTH = 80
# A link or a pipe that takes the place of a file meanwhile is neither followed nor waited for.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like; the same twice means that nobody writes to it any more."""

    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What was accepted from a file, and how it is answered."""

    seen: _Seen
    digest: str
    reply: bytes


class FolderDoor:
    """Takes files from one folder until stopped."""

    def __init__(
        self, source: Source, folder: Path, intake: Intake, settings: Settings,
        clock: Callable[[], int],
    ) -> None:  # fmt: skip
        self._source, self._folder, self._intake = source, folder, intake
        self._settings, self._clock = settings, clock
        self._seen: dict[Path, _Seen] = {}
        # What could not be answered or moved yet.
        self._accepted: dict[Path, _Accepted] = {}
        self._failed: dict[str, _Seen] = {}
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
                log.error("files wait: the store is unavailable", extra=self._where())  # noqa: TRY400 - expected, no trace
            except OSError:
                log.exception("the folder cannot be read", extra=self._where())
            except Exception:
                log.exception("the folder failed and goes on", extra=self._where())
            self._stop.wait(self._settings.folder_poll_seconds)

    def look(self) -> int:
        """Take every file that has not changed since the last look; return how many.

        Raises StoreUnavailable, and OSError when the folder itself cannot be used.
        """
        found = {**dict(_files(self._folder)), **dict(self._claimed())}
        for path in self._leftovers(found):
            path.unlink(missing_ok=True)
        still = [path for path, seen in found.items() if self._seen.get(path) == seen]
        self._seen = found
        self._forget(found)
        taken = 0
        for path in sorted(
            filter(_finished, still), key=lambda one: (found[one].changed, one.name)
        ):
            if self._stop.is_set():
                break
            taken += self._try(path, found[path])
        self._tell_what_is_owed()
        return taken

    def _forget(self, found: Collection[Path]) -> None:
        """Forget what is there no more."""
        paths, names = set(found), {path.name for path in found}
        self._accepted = {path: one for path, one in self._accepted.items() if path in paths}
        self._failed = {name: one for name, one in self._failed.items() if name in names}

    def _claimed(self) -> Iterator[tuple[Path, _Seen]]:
        """Yield what was claimed and is not yet moved: somebody was stopped in the middle."""
        try:
            homes = list((self._folder / TAKEN).iterdir())
        except FileNotFoundError:
            return
        for home in homes:
            with suppress(OSError):
                home.rmdir()  # when it is empty
            with suppress(FileNotFoundError, NotADirectoryError):
                yield from _files(home)

    def _leftovers(self, found: dict[Path, _Seen]) -> Iterator[Path]:
        """Yield what somebody began to write and was stopped: it has lain there for two looks."""
        for path, seen in found.items():
            if path.name.startswith(_NEW) and self._seen.get(path) == seen:
                yield path

    def _try(self, path: Path, seen: _Seen) -> bool:
        """Take one file; one that cannot be taken is tried at each look, and told of once."""
        try:
            return self._take(path, seen)
        except FileNotFoundError:
            return False  # another process was faster
        except OSError:
            if self._failed.get(path.name) != seen:
                self._failed[path.name] = seen
                log.exception("a file cannot be taken; it is tried again", extra=self._where())
            return False

    def _take(self, path: Path, seen: _Seen) -> bool:
        """Accept, claim, answer and move one file; False when it is left for another look."""
        accepted = self._accepted.get(path)
        if accepted is None or accepted.seen != seen:
            accepted = self._accept(path, seen)
            if accepted is None:
                return False
            self._accepted[path] = accepted
        # From here on it may fail and be tried again, but is not accepted again.
        claimed = self._claim(path)
        del self._accepted[path]
        if self._read(claimed, seen)[1] != accepted.digest:
            # Another file of its name took its place since: that one is taken as it comes.
            return False
        self._accepted[claimed] = accepted
        if accepted.reply:
            self._answer(path.name, accepted)
        self._move(claimed, accepted)
        del self._accepted[claimed]
        if accepted.reply:
            self._intake.tally.answered(self._source.name, is_positive(accepted.reply))
        return True

    def _accept(self, path: Path, seen: _Seen) -> _Accepted | None:
        raw, digest, whole = self._read(path, seen)
        if not digest:
            return None
        self._intake.tally.received(self._source.name)
        defect = None if whole else MessageTooLarge()
        arrival = Arrival(raw, self._source, self._clock(), defect)
        try:
            reply = accept(arrival, self._intake, must_keep=True)
        except StoreUnavailable:
            # The file is the sender's until it is stored: it comes again, as another frame.
            self._intake.tally.answered(self._source.name, False)
            raise
        return _Accepted(seen, digest, reply)

    def _read(self, path: Path, seen: _Seen) -> tuple[bytes, str, bool]:
        """Return the content, its digest and whether it is whole; no digest when it has changed.

        Of what is too large only the beginning is read, and its size counts into the digest.
        """
        large = seen.size > self._settings.max_message_bytes
        with os.fdopen(os.open(path, _READ), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size != seen.size:
                return b"", "", False
            raw = file.read(_KEPT_OF_TOO_LARGE if large else seen.size + 1)
        if not large and len(raw) != seen.size:
            return b"", "", False
        digest = hashlib.sha256(raw)
        if large:
            digest.update(b"\0%d" % seen.size)
        return raw, digest.hexdigest(), not large

    def _claim(self, path: Path) -> Path:
        """Take a file out of reach of whoever put it there; its name stays."""
        if path.parent != self._folder:
            return path
        home = self._folder / TAKEN / secrets.token_hex(8)
        home.mkdir(parents=True)
        try:
            return path.replace(home / path.name)
        except OSError:
            home.rmdir()
            raise

    def _answer(self, name: str, accepted: _Accepted) -> None:
        try:
            self._place(self._folder / f"{name}.ack", accepted.reply)
        except OSError:
            # Its name is too long for one more ending, say.
            self._place(self._folder / f"{accepted.digest}.ack", accepted.reply)

    def _tell_what_is_owed(self) -> None:
        """Write the application acknowledgements that are due, each into a file of its own."""
        if self._intake.acknowledger is None:
            return
        for key, reply in self._intake.acknowledger.due(self._source.name):
            self._place(self._folder / f"message-{key}.application.ack", reply)
            self._intake.acknowledger.settle(key)

    def _place(self, path: Path, content: bytes) -> None:
        """Write a file so that it is complete and durable before its name exists."""
        handle, name = tempfile.mkstemp(prefix=_NEW, suffix=".tmp", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        _sync(self._folder)

    def _move(self, path: Path, accepted: _Accepted) -> None:
        refused = accepted.reply and not is_positive(accepted.reply)
        folder = self._folder / (REFUSED if refused else DONE)
        folder.mkdir(exist_ok=True)
        name = f"{accepted.digest}-{_UNSAFE.sub('_', path.name)[-_LABEL_LENGTH:]}"
        large = accepted.seen.size > self._settings.max_message_bytes
        if large and (folder / name).exists():
            # Its name does not tell all of its content: two that begin alike are both kept.
            name = f"{secrets.token_hex(8)}-{name}"[: 64 + 1 + _LABEL_LENGTH]
        path.replace(folder / name)
        with suppress(OSError):  # whoever looks next does it
            path.parent.rmdir()
        _sync(folder)
        _sync(self._folder)

    def _where(self) -> dict[str, str]:
        return {"source": self._source.name}


def _finished(path: Path) -> bool:
    """Whether a name says that its file is complete and meant for us."""
    return not path.name.startswith(".") and not path.name.lower().endswith(_UNFINISHED)


def _files(folder: Path) -> Iterator[tuple[Path, _Seen]]:
    """Yield the ordinary files of a folder: no links, pipes or folders."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                about = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(about.st_mode):
                yield Path(entry.path), _Seen(about.st_size, about.st_mtime_ns)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        log.debug("this share cannot sync a folder")
    finally:
        os.close(handle)
