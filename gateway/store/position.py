"""Where the next page of a walk begins: opaque, signed, good for one question of one caller.

A position is never a permission: every page is read under the caller's Access.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import orjson

from gateway.errors import InvalidSearch

_SIGNATURE = 16


def write_position(secret: bytes, question: Sequence[str], place: Sequence[int]) -> str:
    """Sign the place of the last row of a page; `question` names caller and what was asked."""
    payload = orjson.dumps(list(place))
    signed = _signature(secret, question, payload) + payload
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def read_position(secret: bytes, question: Sequence[str], text: str) -> tuple[int, ...]:
    """Return the place after which the page begins; empty for the first page.

    Raises InvalidSearch for the place of another question or caller, or one that was altered.
    """
    if not text:
        return ()
    try:
        signed = base64.urlsafe_b64decode(text.encode() + b"==")
    except (binascii.Error, ValueError) as error:
        raise InvalidSearch("not a page of this search", where="_cursor") from error
    payload = signed[_SIGNATURE:]
    if not hmac.compare_digest(signed[:_SIGNATURE], _signature(secret, question, payload)):
        raise InvalidSearch("not a page of this search", where="_cursor")
    return tuple(orjson.loads(payload))


def _signature(secret: bytes, question: Sequence[str], payload: bytes) -> bytes:
    bound = orjson.dumps([*question, payload.decode()])
    return hmac.digest(secret, bound, hashlib.sha256)[:_SIGNATURE]
