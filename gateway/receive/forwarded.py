"""Client certificates that a TLS-ending proxy hands on: `Client-Cert` by RFC 9440."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from gateway.wire.address import trusted
from gateway.wire.certificate import names_of


def certificate_names(header: str, address: str | None, proxies: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the certificate in a `Client-Cert` field; none from a stranger.

    The field is a byte sequence of RFC 8941: base64 of the DER between colons.
    """
    if not header or not address or not trusted(address, proxies):
        return ()
    text = header.strip()
    if len(text) < 3 or text[0] != ":" or text[-1] != ":":
        return ()
    try:
        der = base64.b64decode(text[1:-1], validate=True)
    except binascii.Error:
        return ()
    return names_of(der)
