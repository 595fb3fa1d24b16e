"""MLLP release 1 frames: `0B` payload `1C 0D`; and a small client.

A start block inside a frame never joins two messages: the frame is marked as fused and all
its bytes are kept. Between frames, line ends, NUL and spaces are ignored; so are the commit
blocks of release 2 (`0B 06 1C 0D`, `0B 15 1C 0D`), which are no messages.
"""

from __future__ import annotations

import io
import socket
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import (
    FusedMessages,
    GatewayError,
    InvalidSetting,
    MessageTooLarge,
    StoreUnavailable,
)

START, END, RETURN = 0x0B, 0x1C, 0x0D
COMMITS = (b"\x06", b"\x15")
_KEPT_OF_REFUSED = 65_536
_IN_MEMORY = 1_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One complete frame; `defect` says why its payload cannot be one message."""

    payload: bytes
    defect: GatewayError | None = None


def wrap(payload: bytes) -> bytes:
    """Put one payload into a frame."""
    return b"\x0b" + payload + b"\x1c\x0d"


class Deframer:
    """Bytes in, frames out; holds at most one unfinished frame, never more than `max_bytes`.

    With a `spool` folder at most 1 MB of it is in memory, the rest in a file without a name,
    which no crash leaves behind. A frame that the disk has no room for is read to its end and
    marked StoreUnavailable. `ignored` counts bytes between frames, `commits` commit blocks.
    """

    def __init__(self, max_bytes: int, spool: Path | None = None) -> None:
        self._max = max_bytes
        self._spool = spool
        self._buffer = bytearray()
        self._file: io.FileIO | None = None
        self._filed = 0
        self._inside = False
        self._scanned = 0
        self._refused: GatewayError | None = None
        self._kept = b""
        self.ignored = 0
        self.commits = 0

    @property
    def partial(self) -> bytes:
        """The bytes of a frame that has not ended."""
        if not self._inside:
            return b""
        return self._kept if self._refused else self._read(len(self._buffer))

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    @property
    def large(self) -> bool:
        """Whether the frame that has begun is larger than what is held in memory."""
        return self._file is not None

    def feed(self, data: bytes) -> list[Frame]:
        """Take what the network gave and return the frames that are now complete."""
        self._buffer += data
        frames: list[Frame] = []
        while frame := self._next():
            if frame.payload in COMMITS:
                self.commits += 1
            else:
                frames.append(frame)
        return frames

    def close(self) -> None:
        """Forget the unfinished frame and give its file back."""
        self._buffer.clear()
        self._end_frame()

    def _next(self) -> Frame | None:
        if not self._inside and not self._start():
            return None
        end, length = self._end()
        if end < 0:
            self._bound()
            return None
        frame = self._frame(end)
        del self._buffer[: end + length]
        self._end_frame()
        return frame

    def _end_frame(self) -> None:
        self._inside, self._scanned = False, 0
        self._refused, self._kept = None, b""
        self._drop_file()

    def _drop_file(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._filed = None, 0

    def _start(self) -> bool:
        at = self._buffer.find(START)
        junk = self._buffer if at < 0 else self._buffer[:at]
        self.ignored += len(junk.translate(None, b"\r\n\0 "))
        del self._buffer[: len(self._buffer) if at < 0 else at + 1]
        self._inside = at >= 0
        return self._inside

    def _end(self) -> tuple[int, int]:
        """Find FS CR, or FS before the next start block; a lone FS is part of the payload."""
        at = self._buffer.find(END, self._scanned)
        while at >= 0:
            if at + 1 == len(self._buffer):
                self._scanned = at
                return -1, 0
            following = self._buffer[at + 1]
            if following == RETURN:
                return at, 2
            if following == START:
                return at, 1
            at = self._buffer.find(END, at + 1)
        self._scanned = len(self._buffer)
        return -1, 0

    def _bound(self) -> None:
        """Keep what is in memory small: to the file, or away when the frame is refused.

        An FS at the very end stays: the next byte decides what it is.
        """
        if self._filed + len(self._buffer) > self._max + 1:
            self._refuse(MessageTooLarge(), self._scanned)
        elif self._spool and not self._refused and len(self._buffer) > _IN_MEMORY:
            self._spill(self._spool)
        if self._refused:
            del self._buffer[: self._scanned]
            self._scanned = 0

    def _refuse(self, reason: GatewayError, scanned: int) -> None:
        """Keep the start of the frame as evidence; its rest is read and dropped."""
        if self._refused:
            return
        self._refused = reason
        size = min(self._max, _KEPT_OF_REFUSED)
        try:
            self._kept = self._from_file(min(self._filed, size))
        except OSError:
            self._kept = b""
        if not self._filed:
            self._kept = bytes(self._buffer[: min(scanned, size)])
        self._drop_file()

    def _spill(self, spool: Path) -> None:
        try:
            if self._file is None:
                self._file = _nameless_file(spool)
            with memoryview(self._buffer) as held, held[: self._scanned] as scanned:
                _write_all(self._file, scanned)
        except OSError:
            self._refuse(StoreUnavailable("there is no room for a large message"), self._scanned)
            return
        self._filed += self._scanned
        del self._buffer[: self._scanned]
        self._scanned = 0

    def _from_file(self, size: int) -> bytes:
        if self._file is None or not size:
            return b""
        self._file.seek(0)
        found = self._file.read(size)
        self._file.seek(self._filed)
        if not found or len(found) < size:
            raise OSError
        return found

    def _read(self, end: int) -> bytes:
        """Join what is in the file with the first `end` bytes in memory; raises OSError."""
        with memoryview(self._buffer) as held, held[:end] as rest:
            return b"".join((self._from_file(self._filed), rest))

    def _frame(self, end: int) -> Frame:
        if self._filed + end > self._max:
            self._refuse(MessageTooLarge(), end)
        if self._refused:
            return Frame(self._kept, self._refused)
        try:
            payload = self._read(end)
        except OSError:
            self._refuse(StoreUnavailable("a large message could not be read back"), end)
            return self._frame(end)
        return Frame(payload, FusedMessages() if START in payload else None)


def _nameless_file(folder: Path) -> io.FileIO:
    """Open a file that has no name, in a folder that only we may enter; raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    # The frame that it is for closes it.
    return tempfile.TemporaryFile(buffering=0, dir=folder)


def _write_all(file: io.FileIO, data: memoryview) -> None:
    """Write everything: a disk that fills takes a part and says so at the next call."""
    at = 0
    while at < len(data):
        at += file.write(data[at:]) or 0


def client_context(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Make the TLS of a client; without `ca` the system's CAs count. Raises InvalidSetting."""
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise InvalidSetting("certificate, key or CA cannot be used", where="TLS") from error
    return context


def send(
    host: str,
    port: int,
    payloads: Iterable[bytes],
    timeout: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[bytes]:
    """Send each payload on one connection and yield the reply to each.

    Raises StoreUnavailable when the peer cannot be reached, is silent, or hangs up.
    """
    where = f"{host}:{port}"
    try:
        with _connected(host, port, timeout, tls) as connection:
            replies = Deframer(1_000_000)
            for payload in payloads:
                connection.sendall(wrap(payload))
                yield _reply(connection, replies)
    except ssl.SSLError as error:
        # The reason is a word of the TLS library: it names no content.
        raise StoreUnavailable(f"TLS failed: {error.reason}", where=where) from error
    except OSError as error:
        raise StoreUnavailable("no answer over MLLP", where=where) from error


def _connected(host: str, port: int, timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _reply(connection: socket.socket, replies: Deframer) -> bytes:
    while True:
        data = connection.recv(65_536)
        if not data:
            raise ConnectionResetError
        if frames := replies.feed(data):
            return frames[0].payload
