"""TLS for the MLLP door: 1.2 or later, and every client shows a certificate of a known CA."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings
from gateway.errors import InvalidSetting

log = logging.getLogger(__name__)

_HANDSHAKE_SECONDS = 10.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate with its chain, its key, and the CAs (and CRLs) of clients."""

    certificate: Path
    key: Path
    client_ca: Path


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the files of the TLS door, none when none is set; raises InvalidSetting for some."""
    given = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    certificate, key, client_ca = given
    if certificate and key and client_ca:
        return TlsFiles(certificate, key, client_ca)
    if any(given):
        raise InvalidSetting(
            "tls_certificate, tls_key and tls_client_ca go together", where="tls_certificate"
        )
    return None


class ServerTls:
    """Gives new connections TLS by the files as they are now; bad new files change nothing."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files; raises InvalidSetting when they cannot be used."""
        self._files = files
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self._context = _context(files)

    def secure(self, connection: socket.socket, stop: threading.Event) -> ssl.SSLSocket:
        """Shake hands; raises OSError when that fails, takes too long, or we stop.

        The connection given is closed when it fails.
        """
        secured = self._current().wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        try:
            _shake_hands(secured, stop)
        except BaseException:
            secured.close()
            raise
        return secured

    def _current(self) -> ssl.SSLContext:
        with self._lock:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                # Not tried again until a file changes again: one line in the log, not thousands.
                self._stamp = stamp
                try:
                    self._context = _context(self._files)
                    log.info("the TLS certificates were read again")
                except InvalidSetting as error:
                    log.error("the new TLS certificates cannot be used; the old ones stay",  # noqa: TRY400 - the place says enough
                              extra={"reason": str(error)})  # fmt: skip
            return self._context


def _shake_hands(secured: ssl.SSLSocket, stop: threading.Event) -> None:
    deadline = time.monotonic() + _HANDSHAKE_SECONDS
    while not stop.is_set():
        secured.settimeout(max(0.001, min(_POLL_SECONDS, deadline - time.monotonic())))
        try:
            secured.do_handshake()
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise
        else:
            return
    raise TimeoutError


def _stamp(files: TlsFiles) -> tuple[tuple[int, ...], ...]:
    return tuple(_stamp_of(path) for path in (files.certificate, files.key, files.client_ca))


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    # A session taken up again would skip the check of its certificate.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        # A key with a passphrase is refused: nobody is there to type it.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ValueError) as error:
        raise InvalidSetting("certificate and key cannot be used", where="tls_key") from error
    try:
        context.load_verify_locations(files.client_ca)
        if b"-----BEGIN X509 CRL-----" in files.client_ca.read_bytes():
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ValueError) as error:
        raise InvalidSetting("the file cannot be used", where="tls_client_ca") from error
    return context
