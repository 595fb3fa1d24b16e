"""What a client may exchange for tokens: an authorization code, a refresh token, its own word.

A code and a refresh token are used by one conditional statement, in the transaction that keeps
what they give. One that was used before ends its whole family: somebody else has it too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gateway.access.scopes import OFFLINE, ONLINE, covers
from gateway.oauth.dpop import InvalidProofError, Proof
from gateway.oauth.issuer import MICROS, Issuer
from gateway.oauth.openid import id_token
from gateway.oauth.scopes import for_person, for_system
from gateway.store import people
from gateway.store.authorizations import (
    Authorization,
    add_refresh,
    bind_authorization,
    family_of_used,
    find_authorization,
    refresh_owner,
    revoke_authorization,
    use_code,
    use_refresh,
)
from gateway.store.clients import (
    ASYMMETRIC,
    PUBLIC,
    Client,
    Token,
    save_token,
    token_digest,
)
from gateway.store.database import Connection

_SYSTEM_SECONDS = 300
_VERIFIER = range(43, 129)
CODE_SECONDS = 60


class _Grant(TokenEndpointMixin, BaseGrant):  # type: ignore[misc] # Authlib has no type hints
    """What the grants share."""

    thumbprint = ""

    @property
    def issuer(self) -> Issuer:
        """The authorization server."""
        found: Issuer = self.server.issuer
        return found

    def validate_token_request(self) -> None:
        """Authenticate the client, and its key where it binds tokens to one."""
        client = self._authenticate()
        self.request.client = client
        if self.GRANT_TYPE not in client.grant_types:
            raise UnauthorizedClientError("The client may not use this grant.")
        asked = self.request.asked
        if asked.proofs:
            proof = Proof(asked.method, asked.url, asked.proofs)
            self.thumbprint = self.server.proofs.thumbprint(proof)
        elif client.dpop:
            raise InvalidProofError

    def _authenticate(self) -> Client:
        found: Client = self.server.authenticator.client(self.request.asked)
        return found

    def _required(self, name: str) -> str:
        value: str = self.request.form.get(name, "")
        if not value:
            raise InvalidRequestError(f"The parameter {name} is missing.")
        return value

    def _access_token(
        self, connection: Connection, scope: str, seconds: int,
        authorization: Authorization | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        now, token = self.issuer.clock(), secrets.token_urlsafe(32)
        expires_at = now + seconds * MICROS
        family = None
        if authorization:
            expires_at, family = min(expires_at, authorization.expires_at), authorization.id
        row = Token(self.client.id, scope, now, expires_at, family, self.thumbprint)
        save_token(connection, token_digest(token), row)
        return {
            "access_token": token,
            "token_type": "DPoP" if self.thumbprint else "Bearer",
            "expires_in": (expires_at - now) // MICROS,
            "scope": scope,
        }


class ClientCredentials(_Grant):
    """SMART Backend Services: a client speaks for itself."""

    GRANT_TYPE = "client_credentials"

    def create_token_response(self) -> tuple[int, Any, Any]:
        """Give a token of five minutes at most; no refresh token."""
        if self.client.kind != ASYMMETRIC:
            raise InvalidClientError(description="The client has no key to sign with.")
        scope = for_system(self.request.form.get("scope", ""), self.client.scope)
        if not scope:
            raise InvalidScopeError
        seconds = min(self.issuer.settings.token_seconds, _SYSTEM_SECONDS)
        with self.issuer.database.write() as connection:
            token = self._access_token(connection, scope, seconds)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class _Personal(_Grant):
    """A grant that comes from what a person allowed; `_use` uses its credential, once."""

    credential_name = ""
    _use: Callable[[Connection, str], str | None]

    def create_token_response(self) -> tuple[int, Any, Any]:
        """Use the credential and give tokens in one transaction; end the family of a used one."""
        digest = token_digest(self._required(self.credential_name))
        with self.issuer.database.write() as connection:
            family = self._use(connection, digest)
            found = self._living(connection, family) if family else None
            if found:
                self._bind(connection, found)
                answer = self._give(connection, found)
        if found is None:
            self._end_family_of_used(digest)
            raise InvalidGrantError("The code or token is unknown, used, expired or not yours.")
        return 200, answer, self.TOKEN_RESPONSE_HEADER

    def _scope(self, found: Authorization) -> str:
        return found.scope

    def _living(self, connection: Connection, family: str) -> Authorization | None:
        found = find_authorization(connection, family, self.issuer.clock())
        who = people.find_person(connection, found.person) if found else None
        self.request.told = found
        return found if who and who.active else None

    def _bind(self, connection: Connection, found: Authorization) -> None:
        if found.key_thumbprint and found.key_thumbprint != self.thumbprint:
            raise InvalidProofError

    def _give(self, connection: Connection, found: Authorization) -> dict[str, Any]:
        scope = self._scope(found)
        seconds = self.issuer.settings.person_token_seconds
        answer = self._access_token(connection, scope, seconds, found)
        granted = found.scope.split()
        if OFFLINE in granted or ONLINE in granted:
            fresh = secrets.token_urlsafe(32)
            add_refresh(connection, token_digest(fresh), found.id, found.expires_at)
            answer["refresh_token"] = fresh
        if "openid" in scope.split():
            answer["id_token"] = id_token(self.issuer, found)
        return answer | found.context

    def _end_family_of_used(self, digest: str) -> None:
        with self.issuer.database.write() as connection:
            if family := family_of_used(connection, digest):
                now = self.issuer.clock()
                self.request.told = find_authorization(connection, family, now)
                revoke_authorization(connection, family, now)


class AuthorizationCode(_Personal):
    """RFC 6749 section 4.1.3 with PKCE S256 (RFC 7636) for every client."""

    GRANT_TYPE = "authorization_code"
    credential_name = "code"

    def _use(self, connection: Connection, digest: str) -> str | None:
        redirect_uri, verifier = self._required("redirect_uri"), self._required("code_verifier")
        if len(verifier) not in _VERIFIER or not verifier.isascii():
            raise InvalidGrantError("The code_verifier is not one.")
        challenge = create_s256_code_challenge(verifier)
        now = self.issuer.clock()
        return use_code(connection, digest, self.client.id, redirect_uri, challenge, now)

    def _bind(self, connection: Connection, found: Authorization) -> None:
        super()._bind(connection, found)
        if self.thumbprint:
            bind_authorization(connection, found.id, self.thumbprint)


class RefreshToken(_Personal):
    """RFC 6749 section 6; every refresh token is used once."""

    GRANT_TYPE = "refresh_token"
    credential_name = "refresh_token"

    def _authenticate(self) -> Client:
        form, asked = self.request.form, self.request.asked
        if asked.authorization or form.keys() & {"client_id", "client_assertion"}:
            return super()._authenticate()
        # SMART's refresh request has no client_id: a public client is known by its token.
        digest = token_digest(self._required("refresh_token"))
        with self.issuer.database.read() as connection:
            owner = refresh_owner(connection, digest)
        if owner is None:
            raise InvalidGrantError("The refresh token is unknown.")
        client: Client | None = self.server.authenticator.find(owner)
        if client is None or client.kind != PUBLIC:
            raise InvalidClientError(description="The client must authenticate.")
        return client

    def _use(self, connection: Connection, digest: str) -> str | None:
        return use_refresh(connection, digest, self.client.id, self.issuer.clock())

    def _scope(self, found: Authorization) -> str:
        asked = self.request.form.get("scope", "").strip()
        if not asked:
            return found.scope
        if not covers(found.scope, asked):
            raise InvalidScopeError
        return for_person(asked, found.scope)

    def _bind(self, connection: Connection, found: Authorization) -> None:
        # A confidential client is bound by its own authentication (RFC 9449 section 5).
        if self.client.kind == PUBLIC:
            super()._bind(connection, found)


GRANTS = (AuthorizationCode, RefreshToken, ClientCredentials)
