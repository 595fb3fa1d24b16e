"""HTTP from here to elsewhere: one thin client with a time limit, no redirects and a size cap."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from urllib3.exceptions import HTTPError

from gateway.errors import GatewayError, InvalidRequest
from gateway.wire.address import is_public

_SECONDS = 10
_BYTES_MAX = 1_000_000
# What breaks off while the body is read is not wrapped by requests.
_FAILED = (requests.RequestException, HTTPError, OSError)
_FOREIGN_SECONDS = 5.0
_FOREIGN_BYTES = 100_000


def post_form(url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
    """POST a form and return status and body; raises GatewayError when nothing answers."""
    try:
        with requests.post(
            url, data=dict(form), timeout=_SECONDS, allow_redirects=False, stream=True
        ) as reply:
            return reply.status_code, reply.raw.read(_BYTES_MAX, decode_content=True)
    except _FAILED as error:
        raise GatewayError("the server cannot be reached") from error


def post_bytes(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """POST bytes and return status and body; raises GatewayError when nothing answers."""
    try:
        with requests.post(
            url, data=body, headers=dict(headers), timeout=_SECONDS, allow_redirects=False,
            stream=True,
        ) as reply:  # fmt: skip
            return reply.status_code, reply.raw.read(_BYTES_MAX, decode_content=True)
    except _FAILED as error:
        raise GatewayError("the server cannot be reached") from error


def get(url: str) -> tuple[int, bytes]:
    """GET and return status and body; raises GatewayError when nothing answers."""
    try:
        with requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as reply:
            return reply.status_code, reply.raw.read(_BYTES_MAX, decode_content=True)
    except _FAILED as error:
        raise GatewayError("the server cannot be reached") from error


def get_foreign(url: str, *, inside: bool = False) -> bytes:
    """GET what a stranger's URL leads to: https, a public address, no redirect, little, soon.

    The name is looked up once and the connection goes to the address that was judged, so that
    a second answer of the DNS changes nothing. `inside` (development only) allows http and
    addresses that are not public. Raises InvalidRequest for a URL that is not allowed and
    GatewayError when it gives no answer of status 200 within the limits.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidRequest("not a URL") from error
    schemes = ("https", "http") if inside else ("https",)
    if parts.scheme not in schemes or not host or parts.username is not None:
        raise InvalidRequest("must be an https URL without credentials")
    port = port or (443 if parts.scheme == "https" else 80)
    address = _judged(host, port, inside=inside)
    limit = urllib3.Timeout(connect=_FOREIGN_SECONDS, read=_FOREIGN_SECONDS)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address, port, timeout=limit, retries=False, server_hostname=host,
            assert_hostname=host, cert_reqs="CERT_REQUIRED", ca_certs=certifi.where(),
        )  # fmt: skip
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=limit, retries=False)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with pool:
        return _read_foreign(pool, target, parts.netloc)


def _judged(host: str, port: int, *, inside: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise GatewayError("the server has no address") from error
    addresses = [str(one[4][0]) for one in found]
    if not inside and not all(map(is_public, addresses)):
        raise InvalidRequest("leads to an address that is not public")
    return addresses[0]


def _read_foreign(pool: urllib3.HTTPConnectionPool, target: str, host: str) -> bytes:
    deadline = time.monotonic() + 2 * _FOREIGN_SECONDS
    headers = {"Host": host, "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        reply = pool.request("GET", target, headers=headers, redirect=False, preload_content=False)
        if reply.status != 200:
            raise GatewayError("the server did not answer with 200")
        content = b""
        while chunk := reply.read1(_FOREIGN_BYTES):
            content += chunk
            if len(content) > _FOREIGN_BYTES or time.monotonic() > deadline:
                raise GatewayError("the answer is too long, or too slow")
    except (HTTPError, OSError) as error:
        raise GatewayError("the server cannot be reached") from error
    return content
