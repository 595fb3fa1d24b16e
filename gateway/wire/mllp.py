"""MLLP release 1 frames: `0B` payload `1C 0D`; and a small client.

A start block inside a frame never joins two messages: the frame is marked as fused and all
its bytes are kept. Between frames, line ends, NUL and spaces are ignored.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.errors import FusedMessages, GatewayError, MessageTooLarge, StoreUnavailable

START, END, RETURN = 0x0B, 0x1C, 0x0D
_KEPT_OF_TOO_LARGE = 65_536


@dataclass(frozen=True, slots=True)
class Frame:
    """One complete frame; `defect` says why its payload cannot be one message."""

    payload: bytes
    defect: GatewayError | None = None


def wrap(payload: bytes) -> bytes:
    """Put one payload into a frame."""
    return b"\x0b" + payload + b"\x1c\x0d"


class Deframer:
    """Bytes in, frames out; holds at most one unfinished frame, never more than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._inside = False
        self._scanned = 0
        self._overflow = False
        self.ignored = 0

    @property
    def partial(self) -> bytes:
        """The bytes of a frame that has not ended."""
        return bytes(self._buffer) if self._inside else b""

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame]:
        """Take what the network gave and return the frames that are now complete."""
        self._buffer += data
        frames: list[Frame] = []
        while frame := self._next():
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if not self._inside and not self._start():
            return None
        end, length = self._end()
        if end < 0:
            self._bound()
            return None
        payload = bytes(self._buffer[:end])
        del self._buffer[: end + length]
        frame = self._frame(payload)
        self._inside, self._scanned, self._overflow = False, 0, False
        return frame

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
        if len(self._buffer) > self._max + 1:  # the last byte may be half of an end
            self._overflow = True
        if self._overflow:
            # The start is kept as evidence; the rest of the frame is read and dropped, but
            # for an FS at the very end, which the next byte decides.
            kept = min(self._scanned, self._max, _KEPT_OF_TOO_LARGE)
            del self._buffer[kept : self._scanned]
            self._scanned = kept

    def _frame(self, payload: bytes) -> Frame:
        if self._overflow or len(payload) > self._max:
            return Frame(payload[: min(self._max, _KEPT_OF_TOO_LARGE)], MessageTooLarge())
        if START in payload:
            return Frame(payload, FusedMessages())
        return Frame(payload)


def send(host: str, port: int, payloads: Iterable[bytes], timeout: float = 30.0) -> Iterator[bytes]:
    """Send each payload on one connection and yield the reply to each.

    Raises StoreUnavailable when the peer cannot be reached, is silent, or hangs up.
    """
    try:
        with socket.create_connection((host, port), timeout) as connection:
            replies = Deframer(1_000_000)
            for payload in payloads:
                connection.sendall(wrap(payload))
                yield _reply(connection, replies)
    except OSError as error:
        raise StoreUnavailable("no answer over MLLP", where=f"{host}:{port}") from error


def _reply(connection: socket.socket, replies: Deframer) -> bytes:
    while True:
        data = connection.recv(65_536)
        if not data:
            raise ConnectionResetError
        if frames := replies.feed(data):
            return frames[0].payload
