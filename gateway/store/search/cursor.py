"""Where the next page begins: opaque, signed, good for one query of one caller.

A cursor is a position, never a permission: every page is queried under the caller's Access. It
is enciphered, because it stands in URLs and what was sorted by may be a name: the signature of
the position is where its key stream begins.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson

from gateway.errors import InvalidSearch
from gateway.store.search.asked import Query

_SIGNATURE = 16
_BLOCK = 32


def write_cursor(query: Query, client: str, position: tuple[Any, ...]) -> str:
    """Sign and encipher the sort values and the key of the last row of a page."""
    payload = orjson.dumps(position)
    signature = _signature(query, client, payload)
    return base64.urlsafe_b64encode(signature + _cipher(query, signature, payload)).decode()


def read_cursor(query: Query, client: str) -> tuple[Any, ...]:
    """Return the position after which the page begins; empty for the first page.

    Raises InvalidSearch for a cursor of another query or caller, or one that was altered.
    """
    if not query.cursor:
        return ()
    try:
        signed = base64.b64decode(query.cursor.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSearch("not a page of this search", where="_cursor") from error
    signature = signed[:_SIGNATURE]
    payload = _cipher(query, signature, signed[_SIGNATURE:])
    if not hmac.compare_digest(signature, _signature(query, client, payload)):
        raise InvalidSearch("not a page of this search", where="_cursor")
    return tuple(orjson.loads(payload))


def _signature(query: Query, client: str, payload: bytes) -> bytes:
    compartment = query.compartment or ()
    bound = orjson.dumps([client, query.type, compartment, query.pairs, payload.decode("latin-1")])
    return hmac.digest(query.rules.secret, b"cursor" + bound, hashlib.sha256)[:_SIGNATURE]


def _cipher(query: Query, signature: bytes, text: bytes) -> bytes:
    """Encipher, or decipher: both are the same exclusive or with the key stream."""
    stream = b"".join(
        hmac.digest(query.rules.secret, b"stream%d" % block + signature, hashlib.sha256)
        for block in range(-(-len(text) // _BLOCK))
    )
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))
