"""HTTP from here to elsewhere: one thin client with a time limit, no redirects and a size cap."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from urllib3.exceptions import HTTPError

from gateway.errors import GatewayError

_SECONDS = 10
_BYTES_MAX = 1_000_000
# What breaks off while the body is read is not wrapped by requests.
_FAILED = (requests.RequestException, HTTPError, OSError)


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
