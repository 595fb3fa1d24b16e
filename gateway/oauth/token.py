"""The token endpoint: a signed client assertion in, an opaque access token out.

SMART Backend Services (client_credentials with private_key_jwt). Authlib runs the protocol and
writes the RFC 6749 errors; what it leaves open or gets wrong for SMART is decided here: RS384
and ES384, the five-minute ceiling, a jti used once, scopes by meaning, tokens kept as digests.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from gateway.access.scopes import narrow
from gateway.oauth.keys import ALGORITHMS, ASSERTION_SECONDS, LEEWAY_SECONDS
from gateway.store.clients import (
    Client,
    Token,
    find_client,
    forget_expired,
    save_token,
    token_digest,
    use_assertion,
)
from gateway.store.database import Database

METHOD = "private_key_jwt"
GRANT = "client_credentials"
_SECONDS_MAX = 300
_JTI_MAX = 255
_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What the token endpoint answers; never to be stored by a cache."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


class TokenEndpoint:
    """Issues tokens; `clock` gives microseconds since 1970."""

    def __init__(
        self, database: Database, token_url: str, seconds: int, clock: Callable[[], int]
    ) -> None:
        self._server = _Server(database, token_url, min(seconds, _SECONDS_MAX), clock)

    def answer(
        self, method: str, form: Mapping[str, list[str]], headers: Mapping[str, str]
    ) -> Reply:
        """Answer one request; raises StoreUnavailable, every other refusal is a Reply."""
        repeated = [name for name, values in form.items() if len(values) > 1]
        try:
            if repeated:
                raise InvalidRequestError("A parameter stands twice in the request.")
            single = {name: values[0] for name, values in form.items()}
            request = _Request(method, self._server.token_url, single, headers)
        except OAuth2Error as error:
            return self._server.handle_response(*error())
        reply: Reply = self._server.create_token_response(request)
        return reply


class _Request(OAuth2Request):  # type: ignore[misc] # Authlib has no type hints
    def __init__(
        self, method: str, uri: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        super().__init__(method, uri, headers=headers)
        self._form = form
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> Mapping[str, str]:
        return self._form


class _Server(AuthorizationServer):  # type: ignore[misc] # Authlib has no type hints
    def __init__(
        self, database: Database, token_url: str, seconds: int, clock: Callable[[], int]
    ) -> None:
        super().__init__()
        self.database, self.token_url, self.clock = database, token_url, clock
        self.register_token_generator(
            "default",
            BearerTokenGenerator(lambda **_: secrets.token_urlsafe(32), expires_generator=seconds),
        )
        self.register_client_auth_method(METHOD, _Assertion(self))
        self.register_grant(_Grant)

    def query_client(self, client_id: str) -> _Client | None:
        if "\0" in client_id:  # PostgreSQL refuses to look for it
            return None
        with self.database.read() as connection:
            found = find_client(connection, client_id)
        return _Client(found) if found else None

    def save_token(self, token: Mapping[str, Any], request: Any) -> None:
        now = self.clock()
        row = Token(
            request.client.client.id, token["scope"], now, now + token["expires_in"] * _MICROS
        )
        with self.database.write() as connection:
            forget_expired(connection, now)
            save_token(connection, token_digest(token["access_token"]), row)

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        return Reply(status, orjson.dumps(body), tuple(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""


class _Grant(ClientCredentialsGrant):  # type: ignore[misc] # Authlib has no type hints
    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)

    def create_token_response(self) -> tuple[int, Any, Any]:
        # Not the inherited method: that one writes the token to the debug log.
        token = self.generate_token(scope=self.request.payload.scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class _Client:
    """A client as Authlib asks about it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == METHOD and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == GRANT

    def get_allowed_scope(self, scope: str | None) -> str | None:
        return narrow(scope or "", self.client.scope) or None


class _Assertion(JWTBearerClientAssertion):  # type: ignore[misc] # Authlib has no type hints
    CLIENT_AUTH_METHOD = METHOD

    def __init__(self, server: _Server) -> None:
        super().__init__(leeway=LEEWAY_SECONDS)
        self._server = server

    def get_audiences(self) -> list[str]:
        return [self._server.token_url]

    def resolve_client_public_key(self, client: _Client) -> jwk.KeySet:
        return jwk.KeySet.import_key_set(orjson.loads(client.client.jwks))

    def process_assertion_claims(self, assertion: str, resolve_key: jwk.KeySet) -> dict[str, Any]:
        # Authlib's own step refuses RS384 and ES384, and would take any key of the set.
        headers, _ = self.extract_assertion(assertion)
        if str(headers.get("typ", "JWT")).upper() != "JWT":
            raise InvalidClientError(description="The assertion is of another type than JWT.")
        if not isinstance(headers.get("kid"), str):
            raise InvalidClientError(description="The assertion names no key.")
        try:
            key = resolve_key.get_by_kid(headers["kid"])
            claims = jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError) as error:
            raise InvalidClientError(description="The assertion cannot be verified.") from error
        self.verify_claims(claims)
        return claims

    def verify_claims(self, claims: dict[str, Any]) -> None:
        now = self._server.clock() // _MICROS
        registry = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            iss={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "values": self.get_audiences()},
            exp={"essential": True},
            jti={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise InvalidClientError(description="A claim of the assertion is wrong.") from error
        if claims["sub"] != claims["iss"]:
            raise InvalidClientError(description="Issuer and subject must both be the client.")
        exp, jti = claims["exp"], claims["jti"]
        if not math.isfinite(exp) or exp > now + ASSERTION_SECONDS + LEEWAY_SECONDS:
            raise InvalidClientError(description="The assertion must expire within five minutes.")
        if not jti or len(jti) > _JTI_MAX or "\0" in jti:
            raise InvalidClientError(description="The jti must have 1 to 255 characters.")
        expires_at = (int(exp) + LEEWAY_SECONDS + 1) * _MICROS
        with self._server.database.write() as connection:
            if not use_assertion(connection, claims["sub"], jti, expires_at):
                raise InvalidClientError(description="The assertion was used before.")
