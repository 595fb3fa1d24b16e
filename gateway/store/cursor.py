"""Where the next page begins: opaque, signed, good for one query of one caller.

A cursor is a position, never a permission: every page is queried under the caller's Access.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import orjson

from gateway.errors import InvalidSearch
from gateway.store.query import Query

_SIGNATURE = 16


def write_cursor(query: Query, client: str, position: tuple[int, int]) -> str:
    """Sign the last (sort value, key) of a page."""
    payload = orjson.dumps(position)
    signed = _signature(query, client, payload) + payload
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def read_cursor(query: Query, client: str) -> tuple[int, int] | None:
    """Return the position after which the page begins; None for the first page.

    Raises InvalidSearch for a cursor of another query or caller, or one that was altered.
    """
    if not query.cursor:
        return None
    try:
        signed = base64.urlsafe_b64decode(query.cursor.encode() + b"==")
    except (binascii.Error, ValueError) as error:
        raise InvalidSearch("not a page of this search", where="_cursor") from error
    payload = signed[_SIGNATURE:]
    if not hmac.compare_digest(signed[:_SIGNATURE], _signature(query, client, payload)):
        raise InvalidSearch("not a page of this search", where="_cursor")
    value, key = orjson.loads(payload)
    return value, key


def _signature(query: Query, client: str, payload: bytes) -> bytes:
    bound = orjson.dumps([client, query.type, query.pairs, payload.decode("latin-1")])
    return hmac.digest(query.rules.secret, bound, hashlib.sha256)[:_SIGNATURE]
