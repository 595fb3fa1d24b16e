"""Patient Demographics Query over MLLP (IHE ITI-21): QBP^Q22 out, the bytes of RSP^K22 back."""

from __future__ import annotations

import ssl

from gateway.errors import LookupUnavailable, StoreUnavailable
from gateway.wire.mllp import send


def query(number: str, authority: str, control_id: str, now: str) -> bytes:
    """Write a query by one patient number; it must hold digits only."""
    lines = (
        f"MSH|^~\\&|GATEWAY||PDQ||{now}||QBP^Q22^QBP_Q21|{control_id}|P|2.5",
        f"QPD|IHE PDQ Query|{control_id}|@PID.3.1^{number}~@PID.3.4.1^{authority}",
        "RCP|I|10^RD",
    )
    return "".join(f"{line}\r" for line in lines).encode("ascii")


def exchange(
    host: str, port: int, payload: bytes, seconds: float, tls: ssl.SSLContext | None = None
) -> bytes:
    """Send a query and return the answer; raises LookupUnavailable when there is none in time."""
    try:
        (answer,) = send(host, port, [payload], seconds, tls)
    except StoreUnavailable as error:
        raise LookupUnavailable(where=f"{host}:{port}") from error
    return answer
