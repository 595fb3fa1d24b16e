"""Codes of an authenticator app (RFC 6238): six digits, thirty seconds, one step either way."""

from __future__ import annotations

import hmac

import pyotp

_SECONDS = 30
_MICROS = 1_000_000
_APART = (0, -1, 1)


def new_secret() -> str:
    """Return a fresh secret in base32 (160 bits)."""
    return pyotp.random_base32(32)


def uri(secret: str, account: str, issuer: str) -> str:
    """Return what the QR code says to the app."""
    return pyotp.TOTP(secret, interval=_SECONDS).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str, code: str, now: int) -> int | None:
    """Return the time step whose code this is, near `now` in microseconds; None when none."""
    digits = "".join(code.split()).encode("utf-8", "replace")
    generator = pyotp.TOTP(secret, interval=_SECONDS)
    present = now // (_SECONDS * _MICROS)
    found = None
    for apart in _APART:
        if hmac.compare_digest(generator.generate_otp(present + apart).encode(), digits):
            found = present + apart
    return found
