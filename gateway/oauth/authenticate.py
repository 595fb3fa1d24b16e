"""Who the client is: a signed assertion, a secret, or, for a public client, its word.

`private_key_jwt` (RFC 7523, SMART) and `client_secret_basic` (RFC 6749 2.3.1). What Authlib does
in this place refuses RS384 and ES384, takes any key of the set, and looks for a used jti before
it marks it; so this is written out.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
from typing import Any
from urllib.parse import unquote_plus

import orjson
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from gateway.errors import GatewayError, StoreUnavailable
from gateway.oauth.issuer import MICROS, Asked, Issuer
from gateway.oauth.keys import ALGORITHMS, ASSERTION_SECONDS, LEEWAY_SECONDS, RemoteKeys
from gateway.store.clients import (
    ASYMMETRIC,
    PUBLIC,
    SYMMETRIC,
    Client,
    find_client,
    token_digest,
    use_assertion,
)

METHODS = {ASYMMETRIC: "private_key_jwt", SYMMETRIC: "client_secret_basic", PUBLIC: "none"}
ASSERTION_TYPE = JWTBearerClientAssertion.CLIENT_ASSERTION_TYPE
_JTI_MAX = 255
_FOREIGN_KEYS = ("jwk", "x5c", "x5u")


class Authenticator:
    """Authenticates clients at the token endpoint and its neighbours."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._remote = RemoteKeys(issuer.clock, inside=issuer.settings.development)

    def client(self, asked: Asked) -> Client:
        """Return the client; raises InvalidClientError, or InvalidRequestError for two proofs."""
        form = asked.parameters()
        basic = asked.authorization.partition(" ")[0].lower() == "basic"
        if "client_secret" in form:
            raise InvalidClientError(description="A secret is sent by HTTP Basic only.")
        if basic and "client_assertion" in form:
            raise InvalidRequestError("The client authenticates in two ways.")
        if basic:
            found = self._by_secret(asked.authorization)
        elif "client_assertion" in form:
            found = self._by_assertion(form)
        else:
            found = self._public(form.get("client_id", ""))
        if form.get("client_id", found.id) != found.id:
            raise InvalidClientError(description="The client_id is another client's.")
        return found

    def find(self, client_id: str) -> Client | None:
        """Return an active client."""
        with self._issuer.database.read() as connection:
            return find_client(connection, client_id)

    def _public(self, client_id: str) -> Client:
        found = self.find(client_id)
        if found is None or found.kind != PUBLIC:
            raise InvalidClientError(description="The client is unknown or must authenticate.")
        return found

    def _by_secret(self, authorization: str) -> Client:
        client_id, secret = _basic(authorization)
        found = self.find(client_id)
        expected = found.secret_digest if found and found.kind == SYMMETRIC else "-"
        if found is None or not hmac.compare_digest(token_digest(secret), expected):
            raise InvalidClientError("The client or its secret is wrong.", status_code=401)
        return found

    def _by_assertion(self, form: dict[str, str]) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClientError(description="The assertion is of an unknown type.")
        assertion = form["client_assertion"]
        header, claims = _unverified(assertion)
        found = self.find(claims["sub"])
        if found is None or found.kind != ASYMMETRIC:
            raise InvalidClientError(description="The client is unknown or has no key.")
        _check_header(header, found)
        try:
            keys = self._keys(found, header["kid"])
            key = keys.get_by_kid(header["kid"])
            verified = jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
        except StoreUnavailable:
            raise
        except (JoseError, GatewayError, ValueError, TypeError) as error:
            raise InvalidClientError(description="The assertion cannot be verified.") from error
        self._check_claims(verified, found)
        return found

    def _keys(self, client: Client, kid: str) -> jwk.KeySet:
        if client.jwks_uri:
            return self._remote.find(client.jwks_uri, kid)
        return jwk.KeySet.import_key_set(orjson.loads(client.jwks))

    def _check_claims(self, claims: dict[str, Any], client: Client) -> None:
        now = self._issuer.seconds
        # SMART says the token URL; newer OAuth clients name the issuer (RFC 7523bis).
        audiences = [self._issuer.endpoint("token"), self._issuer.url]
        registry = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": client.id},
            sub={"essential": True, "value": client.id},
            aud={"essential": True, "values": audiences},
            exp={"essential": True},
            jti={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise InvalidClientError(description="A claim of the assertion is wrong.") from error
        exp, jti = claims["exp"], claims["jti"]
        if not math.isfinite(exp) or exp > now + ASSERTION_SECONDS + LEEWAY_SECONDS:
            raise InvalidClientError(description="The assertion must expire within five minutes.")
        if not jti or len(jti) > _JTI_MAX or "\0" in jti:
            raise InvalidClientError(description="The jti must have 1 to 255 characters.")
        expires_at = (int(exp) + LEEWAY_SECONDS + 1) * MICROS
        with self._issuer.database.write() as connection:
            if not use_assertion(connection, client.id, jti, expires_at):
                raise InvalidClientError(description="The assertion was used before.")


def claimed_client(asked: Asked) -> str:
    """Return the client that a refused request says it is from; at most 64 characters."""
    if asked.authorization.partition(" ")[0].lower() == "basic":
        try:
            return _basic(asked.authorization)[0][:64]
        except InvalidClientError:
            return ""
    return next(iter(asked.form.get("client_id", ())), "")[:64]


def _basic(authorization: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(authorization.partition(" ")[2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidClientError("The header is not HTTP Basic.", status_code=401) from error
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _unverified(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of what may be an assertion, to know whose key to try."""
    try:
        found = jws.extract_compact(assertion.encode())
        header, claims = found.headers(), orjson.loads(found.payload)
    except (JoseError, ValueError) as error:
        raise InvalidClientError(description="The assertion is not a JWT.") from error
    if not isinstance(claims, dict) or not isinstance(claims.get("sub"), str):
        raise InvalidClientError(description="The assertion names no client.")
    return dict(header), claims


def _check_header(header: dict[str, Any], client: Client) -> None:
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidClientError(description="The assertion is of another type than JWT.")
    if not isinstance(header.get("kid"), str):
        raise InvalidClientError(description="The assertion names no key.")
    if any(name in header for name in _FOREIGN_KEYS):
        raise InvalidClientError(description="The assertion brings a key of its own.")
    if "jku" in header and (not client.jwks_uri or header["jku"] != client.jwks_uri):
        raise InvalidClientError(description="The jku is not the one that was registered.")
