"""The MLLP doors, plain and TLS: who may come in, and when; a thread for each connection.

There is a limit for all connections and one for each source; a connection over it waits unread,
and no source with a limit of its own keeps out another.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from selectors import EVENT_READ, DefaultSelector

from gateway.config import Settings
from gateway.pipeline.accept import Intake
from gateway.receive.conversation import Conversations
from gateway.receive.limits import Turn, Turns
from gateway.receive.tls import ServerTls
from gateway.source import Source, Sources
from gateway.wire.certificate import names_of

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_BACKLOG = 512
# Before its certificate is seen nobody knows the source: a few of each address at a time.
_HANDSHAKES = 64
_HANDSHAKES_EACH = 8

_Welcome = Callable[[socket.socket, str], bool]


class MllpListener:
    """Listens until stopped; `port` and `tls_port` are the real ones once started.

    `port` None: no plain door. `tls` None: no TLS door. Both doors share all limits.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        intake: Intake,
        settings: Settings,
        clock: Callable[[], int],
        sources: Sources = Sources(),
        tls: ServerTls | None = None,
    ) -> None:
        self._host = host
        self._sources = sources
        self._tls = tls
        self._stop = threading.Event()
        self._room = threading.BoundedSemaphore(settings.mllp_connections)
        self._turns = Turns(settings.mllp_connections)
        self._handshakes = threading.BoundedSemaphore(_HANDSHAKES)
        self._greetings = Turns(settings.mllp_connections)
        self._conversations = Conversations(intake, settings, clock, sources, self._stop)
        self._threads: set[threading.Thread] = set()
        self._starting = threading.Lock()
        self._plain = port is not None
        self.port = port or 0
        self.tls_port = settings.mllp_tls_port

    def start(self) -> None:
        """Bind and begin to accept connections; raises OSError when a port is taken."""
        with ExitStack() as opened:
            doors: list[tuple[socket.socket, threading.Semaphore, _Welcome]] = []
            if self._plain:
                listening = opened.enter_context(self._bind(self.port))
                self.port = listening.getsockname()[1]
                doors.append((listening, self._room, self._welcome))
            if self._tls is not None:
                listening = opened.enter_context(self._bind(self.tls_port))
                self.tls_port = listening.getsockname()[1]
                doors.append(
                    (listening, self._handshakes, partial(self._welcome_unknown, self._tls))
                )
            opened.pop_all()
        for door in doors:
            self._begin(self._accept, *door)

    def stop(self) -> None:
        """Take no new connection, let each finish the replies it owes, and end."""
        self._stop.set()
        while threads := self._running():
            for thread in threads:
                thread.join()
        for waiting in (*self._turns.drain(), *self._greetings.drain()):
            waiting.close()

    def _running(self) -> list[threading.Thread]:
        with self._starting:
            return list(self._threads)

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, port), family=family, backlog=_BACKLOG)
        listening.settimeout(_POLL_SECONDS)
        return listening

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        def body() -> None:
            try:
                run(*arguments)
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, daemon=True)
        with self._starting:
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                self._threads.discard(thread)
                raise

    def _accept(
        self, listening: socket.socket, places: threading.Semaphore, welcome: _Welcome
    ) -> None:
        """Take a place first, then a connection: who finds no place stays in the backlog."""
        with listening, DefaultSelector() as ready:
            ready.register(listening, EVENT_READ)
            while not self._stop.is_set():
                if not ready.select(_POLL_SECONDS) or not places.acquire(timeout=_POLL_SECONDS):
                    continue
                if not self._take(listening, welcome):
                    places.release()

    def _take(self, listening: socket.socket, welcome: _Welcome) -> bool:
        """Welcome the next connection; False when its place is free again."""
        try:
            connection, peer = listening.accept()
        except TimeoutError:
            return False
        except OSError:
            # Out of descriptors, say: wait for others to end rather than turn in circles.
            log.exception("no connection could be taken")
            self._stop.wait(_POLL_SECONDS)
            return False
        return welcome(connection, peer[0])

    def _welcome(self, connection: socket.socket, address: str) -> bool:
        """Give a plain connection its thread, or a place in the line of its source."""
        source = self._sources.of_address(address)
        if source is None:
            log.warning(
                "a connection from no known source was closed", extra={"source": f"mllp:{address}"}
            )
            connection.close()
            return False
        return self._enter(connection, source) and self._start_thread(
            self._turns, source.name, self._serve, connection, source
        )

    def _welcome_unknown(self, tls: ServerTls, connection: socket.socket, address: str) -> bool:
        """Give a TLS connection its thread for the handshake, or a place in a line."""
        turn = self._greetings.enter(address, _HANDSHAKES_EACH, connection)
        if turn is Turn.NEVER:
            log.warning("too many handshakes at once: one was closed",
                        extra={"source": f"tls:{address}"})  # fmt: skip
            connection.close()
        return turn is Turn.NOW and self._start_thread(
            self._greetings, address, self._greet, connection, address, tls
        )

    def _enter(self, connection: socket.socket, source: Source) -> bool:
        """Take a turn of this source; False when the connection waits for one, or is closed."""
        turn = self._turns.enter(source.name, source.connections, connection)
        if turn is Turn.NEVER:
            log.warning("too many connections wait: one was closed",
                        extra={"source": source.name})  # fmt: skip
            connection.close()
        elif turn is Turn.LATER:
            log.info("a connection waits for another to end", extra={"source": source.name})
        return turn is Turn.NOW

    def _start_thread(
        self,
        turns: Turns,
        name: str,
        run: Callable[..., None],
        connection: socket.socket,
        *arguments: object,
    ) -> bool:
        try:
            self._begin(run, connection, *arguments)
        except RuntimeError:
            log.exception("no thread could be started")
            _dismiss(turns, name, connection)
            self._stop.wait(_POLL_SECONDS)
            return False
        return True

    def _greet(self, connection: socket.socket, address: str, tls: ServerTls) -> None:
        """Shake hands, give the place of the handshake to the next, then serve."""
        try:
            admitted = self._admit(connection, address, tls)
        except Exception:
            log.exception("connection failed", extra={"source": f"tls:{address}"})
            admitted = None
        finally:
            following = self._greetings.leave(address)
            if following is None or not self._start_thread(
                self._greetings, address, self._greet, following, address, tls
            ):
                self._handshakes.release()
        if admitted:
            self._serve(*admitted)

    def _admit(
        self, connection: socket.socket, address: str, tls: ServerTls
    ) -> tuple[ssl.SSLSocket, Source] | None:
        """Learn the source from the certificate and take its turn and a place for it."""
        try:
            secured = tls.secure(connection, self._stop)
        except OSError as error:
            level, reason = _handshake_failure(error)
            log.log(level, "a TLS handshake failed",
                    extra={"source": f"tls:{address}", "reason": reason})  # fmt: skip
            return None
        names = names_of(secured.getpeercert(binary_form=True) or b"")
        source = self._sources.of_certificate(names)
        if source is None:
            log.warning("a certificate of no known source",
                        extra={"source": f"tls:{address}", "reason": names[-1]})  # fmt: skip
            secured.close()
            return None
        if not self._enter(secured, source):
            return None
        while not self._room.acquire(timeout=_POLL_SECONDS):
            if self._stop.is_set():
                _dismiss(self._turns, source.name, secured)
                return None
        return secured, source

    def _serve(self, connection: socket.socket, source: Source) -> None:
        """Serve one connection, then those of its source that wait for its turn."""
        following: socket.socket | None = connection
        try:
            while following is not None:
                self._conversations.hold(following, source)
                following = self._turns.leave(source.name)
        finally:
            self._room.release()


def _handshake_failure(error: OSError) -> tuple[int, str]:
    """Return how loud and what to say: words of the TLS library, never content."""
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return logging.INFO, "the peer hung up"  # so do health checks of a load balancer
    if isinstance(error, ssl.SSLCertVerificationError):
        return logging.WARNING, error.verify_message
    return logging.WARNING, getattr(error, "reason", None) or type(error).__name__


def _dismiss(turns: Turns, name: str, connection: socket.socket) -> None:
    """Close a connection and all that wait for its turn: nobody is left to serve them."""
    following: socket.socket | None = connection
    while following is not None:
        following.close()
        following = turns.leave(name)
