"""The token endpoint: a code, a refresh token or a signed assertion in, opaque tokens out.

Authlib finds the grant and writes the RFC 6749 errors. What it leaves open or gets wrong for
SMART is decided here and in the modules beside: who the client is, scopes by meaning, codes and
refresh tokens used once, tokens kept as digests, lifetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from gateway.errors import VersionConflict
from gateway.oauth.authenticate import Authenticator, claimed_client
from gateway.oauth.dpop import Proofs
from gateway.oauth.grants import GRANTS
from gateway.oauth.issuer import Asked, Issuer, Reply, refusal
from gateway.store.authorizations import Authorization, forget_ended
from gateway.store.clients import Client, forget_expired

_FORGET_EVERY = 60_000_000


class TokenEndpoint:
    """Issues tokens."""

    def __init__(self, issuer: Issuer, authenticator: Authenticator, proofs: Proofs) -> None:
        self._server = TokenServer(issuer, authenticator, proofs)
        self._issuer, self._forgot_at = issuer, 0

    def answer(self, asked: Asked) -> Reply:
        """Answer one request; raises StoreUnavailable, every other refusal is a Reply."""
        try:
            request = TokenRequest(asked)
        except OAuth2Error as error:
            return refusal(error, client=claimed_client(asked))
        self._forget()
        reply: Reply = self._server.create_token_response(request)
        client = request.client.id if request.client else claimed_client(asked)
        told = request.told
        if told is None:
            return replace(reply, client=client)
        return replace(reply, client=client, person=told.person, patient=told.patient)

    def _forget(self) -> None:
        now = self._issuer.clock()
        if now - self._forgot_at < _FORGET_EVERY:
            return
        self._forgot_at = now
        # Another process may be about it at the same time; then it is done.
        with suppress(VersionConflict), self._issuer.database.write() as connection:
            forget_expired(connection, now)
            forget_ended(connection, now)


class TokenRequest(OAuth2Request):  # type: ignore[misc] # Authlib has no type hints
    """A token request as Authlib asks about it; `told` is the authorization it was about."""

    client: Client | None

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.method, asked.url)
        self.asked = asked
        self.payload = BasicOAuth2Payload(asked.parameters())
        self.told: Authorization | None = None

    @property
    def form(self) -> Mapping[str, str]:
        """The parameters, each once."""
        found: Mapping[str, str] = self.payload.data
        return found


class TokenServer(AuthorizationServer):  # type: ignore[misc] # Authlib has no type hints
    """Authlib's server, with our parts."""

    def __init__(self, issuer: Issuer, authenticator: Authenticator, proofs: Proofs) -> None:
        super().__init__()
        self.issuer, self.authenticator, self.proofs = issuer, authenticator, proofs
        for grant in GRANTS:
            self.register_grant(grant)

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Return the request: it is made already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        """Write an answer of Authlib."""
        detail = str(body.get("error", ""))
        return Reply(status, orjson.dumps(body), tuple(headers), detail=detail)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""
