"""DPoP (RFC 9449): a client proves with each request that it has the key of its token."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from gateway.store.clients import use_assertion
from gateway.store.database import Database

ALGORITHMS = ("ES256", "ES384", "RS256", "PS256")
_SECONDS = 60
_JTI_MAX = 255
_MICROS = 1_000_000


class InvalidProofError(OAuth2Error):  # type: ignore[misc] # Authlib has no type hints
    """The DPoP proof is missing or wrong (RFC 9449 section 5)."""

    error = "invalid_dpop_proof"
    description = "The DPoP proof is missing or wrong."


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request says about its key: `given` are its DPoP header fields."""

    method: str
    url: str
    given: tuple[str, ...] = ()


class Proofs:
    """Checks proofs, each good once; `clock` gives microseconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def thumbprint(self, proof: Proof, token: str = "") -> str:
        """Return the thumbprint of the key that was proved; raises InvalidProofError.

        With a token, the proof must be for that token (`ath`).
        """
        if len(proof.given) != 1:
            raise InvalidProofError
        try:
            key, claims = _verified(proof.given[0])
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise InvalidProofError from error
        if token and claims.get("ath") != _digest(token):
            raise InvalidProofError
        self._check(claims, proof)
        thumbprint = key.thumbprint()
        self._use(thumbprint, claims["jti"])
        return thumbprint

    def _check(self, claims: dict[str, Any], proof: Proof) -> None:
        issued, jti = claims.get("iat"), claims.get("jti")
        now = self._clock() / _MICROS
        timely = isinstance(issued, int | float) and math.isfinite(issued)
        if not timely or abs(now - issued) > _SECONDS:  # type: ignore[operator]
            raise InvalidProofError
        if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_MAX or "\0" in jti:
            raise InvalidProofError
        if claims.get("htm") != proof.method or _place(claims.get("htu")) != _place(proof.url):
            raise InvalidProofError

    def _use(self, thumbprint: str, jti: str) -> None:
        expires_at = self._clock() + (2 * _SECONDS + 1) * _MICROS
        with self._database.write() as connection:
            if not use_assertion(connection, f"dpop:{thumbprint}", jti, expires_at):
                raise InvalidProofError


def _verified(text: str) -> tuple[jwk.RSAKey | jwk.ECKey, dict[str, Any]]:
    header = jws.extract_compact(text.encode()).headers()
    if header.get("typ") != "dpop+jwt":
        raise ValueError
    key = jwk.import_key(dict(header["jwk"]))
    if not isinstance(key, jwk.RSAKey | jwk.ECKey) or key.is_private:
        raise ValueError
    return key, jwt.decode(text, key, algorithms=list(ALGORITHMS)).claims


def _digest(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def _place(url: Any) -> tuple[str, ...]:
    """Return a URL without query and fragment, as RFC 9449 4.3 compares it."""
    if not isinstance(url, str):
        return ()
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path
