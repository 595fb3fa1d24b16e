"""One conversation over MLLP: frames read within limits, answered in order, nothing lost.

Limits: size, rate, idle time, time for one frame and for one reply. Who is too fast is read
more slowly; who is too slow is closed, and the bytes of the frame that had no end are kept.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial

from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.receive.limits import Rate, rates_of
from gateway.receive.owed import OwedReplies
from gateway.source import Source, Sources
from gateway.store.inbox import Entry
from gateway.wire.acknowledgement import is_positive
from gateway.wire.mllp import Deframer, Frame, wrap

log = logging.getLogger(__name__)

_CHUNK = 262_144
_POLL_SECONDS = 0.5
_SEND_SECONDS = 30.0
_GONE_MILLISECONDS = 120_000
# A frame may take its set time and this long again for its bytes: a slow line is not a fault.
_SLOWEST_BYTES_A_SECOND = 65_536
# Messages above 1 MB are in a file until they are accepted, and accepted this many at a time.
_LARGE_AT_ONCE = 2


class Conversations:
    """What all connections of one listener share, whichever door they came by."""

    def __init__(
        self,
        intake: Intake,
        settings: Settings,
        clock: Callable[[], int],
        sources: Sources,
        stop: threading.Event,
    ) -> None:
        self._intake = intake
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._owed = OwedReplies(intake.acknowledger, intake.asking)
        self._rates = rates_of(sources.known)
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)

    def hold(self, connection: socket.socket, source: Source) -> None:
        """Answer what comes until it ends, close, and keep what had no end; never raises."""
        spool = self._settings.data / "spool"
        frames = Deframer(self._settings.max_message_bytes, spool)
        try:
            with connection:
                _tune(connection)
                self._converse(connection, source, frames)
                _say_goodbye(connection)
        except OSError:
            log.info("connection lost", extra={"source": source.name})
        except Exception:
            log.exception("connection failed", extra={"source": source.name})
        try:
            with self._held(frames):
                if fragment := frames.partial:
                    self._keep_fragment(fragment, source.name)
        except Exception:
            log.exception("an incomplete frame was not kept", extra={"source": source.name})
        frames.close()

    def _converse(self, connection: socket.socket, source: Source, frames: Deframer) -> None:
        rate = self._rates.get(source.name)
        quiet = partial(self._owed.of(source.name).send, connection)
        reading = _Reading(connection, self._settings, self._stop, rate, quiet)
        while data := reading.receive(frames.inside):
            if self._answer_all(connection, source, frames, data):
                reading.frame_ended()
            if not frames.inside:
                quiet()
            _tell_ignored(frames, source)

    def _answer_all(
        self, connection: socket.socket, source: Source, frames: Deframer, data: bytes
    ) -> bool:
        """Answer each frame that these bytes complete, in order; False when there is none.

        A function of its own, so that a quiet connection holds no message in memory.
        """
        with self._held(frames):
            complete = frames.feed(data)
            for frame in complete:
                self._answer(connection, source, frame)
        return bool(complete)

    def _held(self, frames: Deframer) -> AbstractContextManager[object]:
        """Wait for one of few places while a large frame may become bytes in memory."""
        return self._large if frames.large else nullcontext()

    def _answer(self, connection: socket.socket, source: Source, frame: Frame) -> None:
        self._intake.tally.received(source.name)
        arrival = Arrival(frame.payload, source, self._clock(), frame.defect)
        if reply := accept(arrival, self._intake):
            connection.settimeout(_SEND_SECONDS)
            connection.sendall(wrap(reply))
            self._intake.tally.answered(source.name, is_positive(reply))

    def _keep_fragment(self, fragment: bytes, source: str) -> None:
        """A frame that never ended gets no answer; its bytes are kept as evidence."""
        self._intake.tally.fragment(source)
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
    """Reads one connection within its time limits.

    Only waiting for the peer counts: not what we take to answer, nor what a rate makes it wait.
    """

    def __init__(
        self,
        connection: socket.socket,
        settings: Settings,
        stop: threading.Event,
        rate: Rate | None,
        quiet: Callable[[], None],
    ) -> None:
        self._quiet = quiet
        self._connection, self._settings, self._stop = connection, settings, stop
        self._rate = rate
        self._chunk = min(_CHUNK, rate.bytes_a_second) if rate else _CHUNK
        self._waited = 0.0
        self._bytes = 0

    def frame_ended(self) -> None:
        """Begin the time of the next frame."""
        self._waited, self._bytes = 0.0, 0

    def receive(self, inside: bool) -> bytes:
        """Read what there is; empty when the peer is gone or too slow, or we stop."""
        self._await_rate()
        if not inside:
            self.frame_ended()
        self._connection.settimeout(_POLL_SECONDS)
        while not self._stop.is_set() and not self._late(inside):
            began = time.monotonic()
            try:
                data = self._connection.recv(self._chunk)
            except TimeoutError:
                self._waited += time.monotonic() - began
                if not inside:
                    self._quiet()
                    self._connection.settimeout(_POLL_SECONDS)
                continue
            self._waited += time.monotonic() - began
            self._count(data, inside)
            return data
        return b""

    def _await_rate(self) -> None:
        while self._rate and (delay := self._rate.delay(time.monotonic())):
            if self._stop.wait(delay):
                return

    def _count(self, data: bytes, inside: bool) -> None:
        if not inside:
            self.frame_ended()
        self._bytes += len(data)
        if self._rate:
            self._rate.take(len(data), time.monotonic())

    def _late(self, inside: bool) -> bool:
        limit = self._settings.mllp_idle_seconds
        if inside:
            limit = self._settings.mllp_frame_seconds + self._bytes / _SLOWEST_BYTES_A_SECOND
        return self._waited > limit


def _tell_ignored(frames: Deframer, source: Source) -> None:
    if frames.ignored:
        log.info("bytes between frames were ignored", extra={"source": source.name})
    if frames.commits:
        log.debug("commit blocks of MLLP release 2 were ignored", extra={"source": source.name})
    frames.ignored = frames.commits = 0


def _say_goodbye(connection: socket.socket) -> None:
    """Tell a TLS peer that nothing follows, and do not wait for it to say the same."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0)
        with suppress(OSError):  # it has gone, or says nothing yet
            connection.unwrap()


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Keepalive is silent while a reply is on its way: a peer that vanished then ends here.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_MILLISECONDS)
