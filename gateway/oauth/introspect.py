"""Introspection (RFC 7662, SMART 2.2) and revocation (RFC 7009) of tokens."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)

from gateway.errors import Unauthorized
from gateway.oauth.authenticate import Authenticator, claimed_client
from gateway.oauth.bearer import Bearers
from gateway.oauth.dpop import Proof
from gateway.oauth.issuer import MICROS, Asked, Issuer, Reply, answer, refusal
from gateway.oauth.openid import identity
from gateway.store import people
from gateway.store.authorizations import (
    Authorization,
    family_of_used,
    find_authorization,
    find_refresh,
    refresh_owner,
    revoke_authorization,
)
from gateway.store.clients import PUBLIC, Token, find_client, find_token, token_digest
from gateway.store.database import Connection

_INACTIVE = {"active": False}


class IntrospectEndpoint:
    """Says what a token is good for, to whom may know it."""

    def __init__(self, issuer: Issuer, authenticator: Authenticator, bearers: Bearers) -> None:
        self._issuer, self._authenticator, self._bearers = issuer, authenticator, bearers

    def answer(self, asked: Asked) -> Reply:
        """Answer one request; raises StoreUnavailable, every other refusal is a Reply."""
        try:
            client = self._caller(asked)
            token = asked.parameters().get("token", "")
            if not token:
                raise InvalidRequestError("The parameter token is missing.")
        except OAuth2Error as error:
            return refusal(error, client=claimed_client(asked))
        with self._issuer.database.read() as connection:
            found = self._look(connection, token_digest(token))
        return answer(found, client=client, patient=str(found.get("patient", "")))

    def _caller(self, asked: Asked) -> str:
        if asked.authorization.partition(" ")[0].lower() in ("bearer", "dpop"):
            proof = Proof(asked.method, asked.url, asked.proofs)
            try:
                return self._bearers.bearer(asked.authorization, proof).caller.client
            except Unauthorized as error:
                raise InvalidClientError("The token is not good.", status_code=401) from error
        client = self._authenticator.client(asked)
        if client.kind == PUBLIC:
            raise InvalidClientError(description="The client must authenticate.")
        return client.id

    def _look(self, connection: Connection, digest: str) -> dict[str, Any]:
        now = self._issuer.clock()
        token = find_token(connection, digest, now)
        if token is None:
            return self._look_for_refresh(connection, digest, now)
        about = None
        if token.authorization_id:
            about = find_authorization(connection, token.authorization_id, now)
            if about is None or not _is_active(connection, about.person):
                return _INACTIVE
        return self._describe(token, about)

    def _look_for_refresh(self, connection: Connection, digest: str, now: int) -> dict[str, Any]:
        found = find_refresh(connection, digest, now)
        about = find_authorization(connection, found[0], now) if found else None
        if found is None or about is None or not _is_active(connection, about.person):
            return _INACTIVE
        if find_client(connection, about.client_id) is None:
            return _INACTIVE
        return {
            "active": True,
            "client_id": about.client_id,
            "scope": about.scope,
            "exp": found[1] // MICROS,
        }

    def _describe(self, token: Token, about: Authorization | None) -> dict[str, Any]:
        described: dict[str, Any] = {
            "active": True,
            "client_id": token.client_id,
            "scope": token.scope,
            "exp": token.expires_at // MICROS,
            "iat": token.issued_at // MICROS,
            "token_type": "DPoP" if token.key_thumbprint else "Bearer",
        }
        if token.key_thumbprint:
            described["cnf"] = {"jkt": token.key_thumbprint}
        if about is None:
            return described
        described |= about.context
        if "openid" in token.scope.split():
            described |= identity(self._issuer, about.person, token.scope.split())
            described["iss"] = self._issuer.url
        return described


class RevokeEndpoint:
    """Ends a token at the wish of the client that holds it."""

    def __init__(self, issuer: Issuer, authenticator: Authenticator, bearers: Bearers) -> None:
        self._issuer, self._authenticator, self._bearers = issuer, authenticator, bearers

    def answer(self, asked: Asked) -> Reply:
        """Answer one request; raises StoreUnavailable, every other refusal is a Reply.

        A refresh token ends all that descends from the same authorization.
        """
        try:
            client = self._authenticator.client(asked)
            token = asked.parameters().get("token", "")
            if not token:
                raise InvalidRequestError("The parameter token is missing.")
            self._revoke(client.id, token)
        except OAuth2Error as error:
            return refusal(error, client=claimed_client(asked))
        return answer({}, client=client.id)

    def _revoke(self, client_id: str, token: str) -> None:
        digest, now = token_digest(token), self._issuer.clock()
        with self._issuer.database.write() as connection:
            found = find_token(connection, digest, now)
            owner = found.client_id if found else refresh_owner(connection, digest)
            if owner not in (None, client_id):
                raise InvalidGrantError("The token was given to another client.")
            refresh = find_refresh(connection, digest, now)
            family = refresh[0] if refresh else family_of_used(connection, digest)
            if owner and family:
                revoke_authorization(connection, family, now)
        if found:
            self._bearers.revoke(token)
        self._bearers.ask_again()


def _is_active(connection: Connection, person: str) -> bool:
    found = people.find_person(connection, person)
    return found is not None and found.active
