"""Addresses on the network: whose they are, and which of them are nobody's business."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def within(address: str | None, networks: Iterable[str]) -> bool:
    """Say whether an address lies in one of the networks; what is no address lies in none."""
    try:
        place = _plain(ipaddress.ip_address(address or ""))
    except ValueError:
        return False
    return any(place in ipaddress.ip_network(one) for one in networks)


def is_public(address: str) -> bool:
    """Say whether an address is out on the internet: not this machine, nor a network inside.

    An IPv6 address that carries an IPv4 address is judged by the address it carries.
    """
    place = _plain(ipaddress.ip_address(address))
    if isinstance(place, ipaddress.IPv6Address):
        if place in _NAT64:
            place = ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)
        elif place.sixtofour or place.teredo:
            return False
    return place.is_global and not (place.is_multicast or place.is_reserved)


def _plain(place: _Address) -> _Address:
    if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped:
        return place.ipv4_mapped
    return place
