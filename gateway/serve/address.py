"""Where a request comes from: never what a stranger says in a header."""

from __future__ import annotations

from flask import request

from gateway.config import Settings
from gateway.wire.address import within


def client_address(settings: Settings) -> str:
    """Return the address of the caller: behind trusted proxies, the last that they vouch for."""
    address = request.remote_addr or ""
    hops = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",")]
    while within(address, settings.trusted_proxies) and hops and hops[-1]:
        address = hops.pop()
    return address
