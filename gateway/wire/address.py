"""Whose address a request comes from, where proxies stand between."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence


def trusted(address: str, proxies: Iterable[str]) -> bool:
    """Whether an address is in one of these networks; text that is no address is not."""
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped:
        place = place.ipv4_mapped
    return any(place in ipaddress.ip_network(one) for one in proxies)


def client_address(remote: str, forwarded: str, proxies: Sequence[str]) -> str:
    """Return the address of the client: the last hop that is no trusted proxy.

    `forwarded` is X-Forwarded-For, which every proxy appends to: whatever stands left of the
    first stranger was written by that stranger. A client's IPv6 network (/64) counts as one.
    """
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    address = remote
    while hops and trusted(address, proxies):
        address = hops.pop()
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return remote
    if isinstance(place, ipaddress.IPv6Address):
        mapped = place.ipv4_mapped
        return str(mapped or ipaddress.ip_network((place, 64), strict=False).network_address)
    return str(place)
