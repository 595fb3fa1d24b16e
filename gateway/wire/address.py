"""Whose address a request comes from, where proxies stand between; and which are public."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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


def is_public(address: str) -> bool:
    """Say whether an address is out on the internet: not this machine, nor a network inside.

    An IPv6 address that carries an IPv4 address is judged by the address it carries, and one
    that tunnels to somewhere (6to4, Teredo) is none.
    """
    place = ipaddress.ip_address(address)
    if isinstance(place, ipaddress.IPv6Address):
        if place.ipv4_mapped:
            place = place.ipv4_mapped
        elif place in _NAT64:
            place = ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)
        elif place.sixtofour or place.teredo:
            return False
    return place.is_global and not (place.is_multicast or place.is_reserved)
