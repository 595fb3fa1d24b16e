"""Keys of clients, and the assertions they sign (RFC 7523, SMART Backend Services)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from gateway.errors import InvalidRequest

ALGORITHMS = ("RS384", "ES384")
ASSERTION_SECONDS = 300
LEEWAY_SECONDS = 30
_RSA_BITS = 2048


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


def check_keys(jwks: Mapping[str, Any]) -> None:
    """Raise InvalidRequest unless this is a set of public RSA or EC keys that each have a kid."""
    given: Any = jwks.get("keys")
    if not isinstance(given, list) or not given or not all(map(_is_named, given)):
        raise InvalidRequest("not a set of RSA or EC keys that each have a kid")
    try:
        keys = jwk.KeySet.import_key_set({"keys": given}).keys
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise InvalidRequest("not a JSON Web Key Set") from error
    for key in keys:
        if key.is_private:
            raise InvalidRequest("the set holds a private key: it must never leave its owner")
        if isinstance(key, jwk.RSAKey) and key.raw_value.key_size < _RSA_BITS:
            raise InvalidRequest("an RSA key must have 2048 bits or more")


def _is_named(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and bool(key.get("kid"))
