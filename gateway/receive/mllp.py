"""The MLLP door: a thread for each connection, many messages on each, answered in order.

Limits: connections, size, idle time, time for one frame and time for one reply. A connection
over the limit waits in the backlog; nothing is ever dropped to make room.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.source import Source, Sources
from gateway.store.inbox import Entry
from gateway.wire.mllp import Deframer, wrap

log = logging.getLogger(__name__)

_CHUNK = 262_144
_POLL_SECONDS = 0.5
_SEND_SECONDS = 30.0
_BACKLOG = 512
# A frame may take its set time and this long again for its bytes: a slow line is not a fault.
_SLOWEST_BYTES_A_SECOND = 65_536


class MllpListener:
    """Listens until stopped; `port` is the real one once started."""

    def __init__(
        self,
        host: str,
        port: int,
        intake: Intake,
        settings: Settings,
        clock: Callable[[], int],
        sources: Sources = Sources(),
    ) -> None:
        self._address = (host, port)
        self._intake = intake
        self._settings = settings
        self._clock = clock
        self._sources = sources
        self._stop = threading.Event()
        self._room = threading.BoundedSemaphore(settings.mllp_connections)
        self._threads: set[threading.Thread] = set()
        self.port = port

    def start(self) -> None:
        """Bind and begin to accept connections; raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listening = socket.create_server(self._address, family=family, backlog=_BACKLOG)
        listening.settimeout(_POLL_SECONDS)
        self.port = listening.getsockname()[1]
        self._begin(self._accept, listening)

    def stop(self) -> None:
        """Take no new connection, let each finish the replies it owes, and end."""
        self._stop.set()
        for thread in list(self._threads):
            thread.join()

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        def body() -> None:
            try:
                run(*arguments)
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.discard(thread)
            raise

    def _accept(self, listening: socket.socket) -> None:
        with listening:
            while not self._stop.is_set():
                if self._room.acquire(timeout=_POLL_SECONDS) and not self._take(listening):
                    self._room.release()

    def _take(self, listening: socket.socket) -> bool:
        """Give the next connection its thread; False when there is none or no thread for it."""
        try:
            connection, peer = listening.accept()
        except TimeoutError:
            return False
        except OSError:
            # Out of descriptors, say: wait for others to end rather than turn in circles.
            log.exception("no connection could be taken")
            self._stop.wait(_POLL_SECONDS)
            return False
        source = self._sources.of_address(peer[0])
        if source is None:
            log.warning("a connection from no known source was closed")
            connection.close()
            return False
        try:
            self._begin(self._serve, connection, source)
        except RuntimeError:
            log.exception("no thread could be started")
            connection.close()
            self._stop.wait(_POLL_SECONDS)
            return False
        return True

    def _serve(self, connection: socket.socket, source: Source) -> None:
        frames = Deframer(self._settings.max_message_bytes)
        try:
            with connection:
                _tune(connection)
                self._converse(connection, source, frames)
        except OSError:
            log.info("connection lost", extra={"source": source.name})
        except Exception:
            log.exception("connection failed", extra={"source": source.name})
        finally:
            try:
                if frames.partial:
                    self._keep_fragment(frames.partial, source.name)
            finally:
                self._room.release()

    def _converse(self, connection: socket.socket, source: Source, frames: Deframer) -> None:
        reading = _Reading(connection, self._settings, self._stop)
        while data := reading.receive(frames.inside):
            for frame in frames.feed(data):
                arrival = Arrival(frame.payload, source, self._clock(), frame.defect)
                reply = wrap(accept(arrival, self._intake))
                connection.settimeout(_SEND_SECONDS)
                connection.sendall(reply)
                reading.frame_ended()
            if frames.ignored:
                log.info("bytes between frames were ignored", extra={"source": source.name})
                frames.ignored = 0

    def _keep_fragment(self, fragment: bytes, source: str) -> None:
        """A frame that never ended gets no answer; its bytes are kept as evidence."""
        entry = Entry(self._clock(), source, fragment, "", b"", "rejected")
        entry.reason = "incomplete frame"
        try:
            kept = self._intake.inbox.keep(entry)
        except StoreUnavailable:
            log.error("an incomplete frame was not kept: no store", extra={"source": source})  # noqa: TRY400 - expected, no trace
            return
        log.warning(
            "an incomplete frame",
            extra={"message_key": kept.key, "source": source, "state": kept.state},
        )


class _Reading:
    """Reads one connection within its time limits."""

    def __init__(
        self, connection: socket.socket, settings: Settings, stop: threading.Event
    ) -> None:
        self._connection, self._settings, self._stop = connection, settings, stop
        self._began = time.monotonic()
        self._bytes = 0

    def frame_ended(self) -> None:
        """Begin the time of the next frame."""
        self._began, self._bytes = time.monotonic(), 0

    def receive(self, inside: bool) -> bytes:
        """Read what there is; empty when the peer is gone or too slow, or we stop."""
        self._connection.settimeout(_POLL_SECONDS)
        if not inside:
            self.frame_ended()
        while not self._stop.is_set() and not (inside and self._late(inside)):
            try:
                data = self._connection.recv(_CHUNK)
            except TimeoutError:
                if self._late(inside):
                    return b""
                continue
            if not inside:
                self.frame_ended()
            self._bytes += len(data)
            return data
        return b""

    def _late(self, inside: bool) -> bool:
        limit = self._settings.mllp_idle_seconds
        if inside:
            limit = self._settings.mllp_frame_seconds + self._bytes / _SLOWEST_BYTES_A_SECOND
        return time.monotonic() - self._began > limit


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
