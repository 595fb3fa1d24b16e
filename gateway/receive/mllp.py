"""The MLLP door: a thread for each connection, many messages on each, answered in order.

Limits: connections, size, idle time and time for one frame. A connection over the limit waits
in the backlog; nothing is ever dropped to make room.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.store.inbox import Entry
from gateway.wire.mllp import Deframer, wrap

log = logging.getLogger(__name__)

_CHUNK = 262_144
_POLL_SECONDS = 0.5
_SEND_SECONDS = 30.0
_BACKLOG = 512


class MllpListener:
    """Listens until stopped; `port` is the real one once started."""

    def __init__(
        self, host: str, port: int, intake: Intake, settings: Settings, clock: Callable[[], int]
    ) -> None:
        self._address = (host, port)
        self._intake = intake
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._room = threading.BoundedSemaphore(settings.mllp_connections)
        self._threads: set[threading.Thread] = set()
        self._socket: socket.socket | None = None
        self.port = port

    def start(self) -> None:
        """Bind and begin to accept connections."""
        self._socket = socket.create_server(self._address, backlog=_BACKLOG)
        self._socket.settimeout(_POLL_SECONDS)
        self.port = self._socket.getsockname()[1]
        self._begin(self._accept, self._socket)

    def stop(self) -> None:
        """Take no new connection, let each finish its reply, and end."""
        self._stop.set()
        for thread in list(self._threads):
            thread.join()
        if self._socket:
            self._socket.close()

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        def body() -> None:
            try:
                run(*arguments)
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while not self._stop.is_set():
            if not self._room.acquire(timeout=_POLL_SECONDS):
                continue
            try:
                connection, peer = listening.accept()
            except OSError:
                self._room.release()
                continue
            self._begin(self._serve, connection, f"mllp:{peer[0]}")

    def _serve(self, connection: socket.socket, source: str) -> None:
        try:
            with connection:
                _tune(connection)
                self._converse(connection, source)
        except OSError:
            log.info("connection lost", extra={"source": source})
        except Exception:
            log.exception("connection failed", extra={"source": source})
        finally:
            self._room.release()

    def _converse(self, connection: socket.socket, source: str) -> None:
        frames = Deframer(self._settings.max_message_bytes)
        try:
            while data := self._receive(connection, frames):
                for frame in frames.feed(data):
                    arrival = Arrival(frame.payload, source, self._clock(), frame.defect)
                    reply = wrap(accept(arrival, self._intake))
                    connection.settimeout(_SEND_SECONDS)
                    connection.sendall(reply)
        finally:
            if frames.partial:
                self._keep_fragment(frames.partial, source)

    def _receive(self, connection: socket.socket, frames: Deframer) -> bytes:
        """Read what there is; empty when the peer is gone, silent for too long, or we stop."""
        began = time.monotonic()
        connection.settimeout(_POLL_SECONDS)
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                return connection.recv(_CHUNK)
            limit = (
                self._settings.mllp_frame_seconds
                if frames.inside
                else (self._settings.mllp_idle_seconds)
            )
            if time.monotonic() - began > limit:
                log.info("connection timed out", extra={"source": source_of(connection)})
                return b""
        return b""

    def _keep_fragment(self, fragment: bytes, source: str) -> None:
        """A frame that never ended gets no answer; its bytes are kept as evidence."""
        entry = Entry(self._clock(), source, fragment, "", b"", "rejected")
        entry.reason = "incomplete frame"
        try:
            self._intake.inbox.keep(entry)
        except StoreUnavailable:
            log.error("an incomplete frame was not kept: no store", extra={"source": source})  # noqa: TRY400 - expected, no trace


def source_of(connection: socket.socket) -> str:
    """Name the peer of a connection."""
    return f"mllp:{connection.getpeername()[0]}"


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
