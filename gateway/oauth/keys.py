"""Keys of clients, and the assertions they sign (RFC 7523, SMART Backend Services)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from gateway.errors import GatewayError, InvalidRequest
from gateway.wire.http import get_foreign

ALGORITHMS = ("RS384", "ES384")
ASSERTION_SECONDS = 300
LEEWAY_SECONDS = 30
_RSA_BITS = 2048
_REMEMBER = 3600 * 1_000_000
_ASK_AGAIN = 60 * 1_000_000
_REMEMBERED_MAX = 1000


def new_key(algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a key pair for RS384 or ES384: (private JWK, public JWK), with a thumbprint `kid`."""
    key: jwk.RSAKey | jwk.ECKey
    if algorithm == "RS384":
        key = jwk.RSAKey.generate_key(3072, {"alg": algorithm, "use": "sig"}, auto_kid=True)
    elif algorithm == "ES384":
        key = jwk.ECKey.generate_key("P-384", {"alg": algorithm, "use": "sig"}, auto_kid=True)
    else:
        raise InvalidRequest("keys are made for RS384 or ES384")
    return dict(key.as_dict(private=True)), dict(key.as_dict(private=False))


def client_assertion(
    private_jwk: Mapping[str, Any], client_id: str, token_url: str, now: int, jti: str
) -> str:
    """Sign the assertion by which a client proves who it is; `now` in seconds."""
    key = jwk.import_key(dict(private_jwk))
    header = {"alg": str(private_jwk["alg"]), "typ": "JWT", "kid": str(private_jwk["kid"])}
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "exp": now + ASSERTION_SECONDS,
        "iat": now,
        "jti": jti,
    }
    return jwt.encode(header, claims, key, algorithms=list(ALGORITHMS))


def check_keys(jwks: Mapping[str, Any]) -> jwk.KeySet:
    """Return a set of public RSA or EC keys that each have a kid; raises InvalidRequest."""
    given: Any = jwks.get("keys")
    if not isinstance(given, list) or not given or not all(map(_is_named, given)):
        raise InvalidRequest("not a set of RSA or EC keys that each have a kid")
    try:
        found = jwk.KeySet.import_key_set({"keys": given})
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise InvalidRequest("not a JSON Web Key Set") from error
    for key in found.keys:
        if key.is_private:
            raise InvalidRequest("the set holds a private key: it must never leave its owner")
        if isinstance(key, jwk.RSAKey) and key.raw_value.key_size < _RSA_BITS:
            raise InvalidRequest("an RSA key must have 2048 bits or more")
    return found


class RemoteKeys:
    """Key sets that clients keep at a URL, remembered for an hour.

    A key id that is not among them has the set fetched again, at most once a minute: whoever
    sends rubbish cannot make us ask a stranger more often than that.
    """

    def __init__(self, clock: Callable[[], int], *, inside: bool) -> None:
        self._clock, self._inside = clock, inside
        self._known: dict[str, tuple[int, jwk.KeySet | None]] = {}
        self._lock = threading.Lock()

    def find(self, url: str, kid: str) -> jwk.KeySet:
        """Return the key set at a URL, which may lack `kid`; raises GatewayError."""
        now = self._clock()
        with self._lock:
            fetched_at, keys = self._known.get(url, (-_REMEMBER, None))
            age = now - fetched_at
            fresh = age < _ASK_AGAIN or (age < _REMEMBER and _has(keys, kid))
            if not fresh:  # claimed before the fetch, so that a slow server is asked by one
                if len(self._known) >= _REMEMBERED_MAX:
                    self._known.clear()
                self._known[url] = (now, keys)
        if not fresh:
            keys = check_keys(_json(get_foreign(url, inside=self._inside)))
            self._known[url] = (now, keys)
        if keys is None:
            raise GatewayError("the key set could not be fetched a moment ago")
        return keys


def _has(keys: jwk.KeySet | None, kid: str) -> bool:
    return keys is not None and any(key.kid == kid for key in keys.keys)


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("not JSON") from error
    if not isinstance(found, dict):
        raise InvalidRequest("not a JSON Web Key Set")
    return found


def _is_named(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and bool(key.get("kid"))
