"""Client certificates that a TLS-ending proxy hands on: `Client-Cert` by RFC 9440."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable

from gateway.wire.certificate import names_of


def certificate_names(header: str, address: str | None, proxies: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the certificate in a `Client-Cert` field; none from a stranger.

    The field is a byte sequence of RFC 8941: base64 of the DER between colons.
    """
    if not header or not address or not _trusted(address, proxies):
        return ()
    text = header.strip()
    if len(text) < 3 or text[0] != ":" or text[-1] != ":":
        return ()
    try:
        der = base64.b64decode(text[1:-1], validate=True)
    except binascii.Error:
        return ()
    return names_of(der)


def _trusted(address: str, proxies: Iterable[str]) -> bool:
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped:
        place = place.ipv4_mapped
    return any(place in ipaddress.ip_network(one) for one in proxies)
