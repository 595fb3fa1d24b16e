"""Access tokens: the Authorization header of a request in, the caller's `Access` out.

A token row is remembered for at most 60 s and never beyond its expiry; every process asks once
a second whether anything was revoked, and then forgets them all. A token that is bound to a key
(DPoP) is good only with a proof of that key, one for each request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from gateway.access.access import Access
from gateway.access.caller import Caller
from gateway.access.policy import DEFAULT, Policy
from gateway.errors import Unauthorized
from gateway.oauth.dpop import InvalidProofError, Proof, Proofs
from gateway.store import people
from gateway.store.authorizations import find_authorization
from gateway.store.clients import (
    Client,
    Token,
    find_client,
    find_token,
    last_revocation,
    revoke_token,
    token_digest,
)
from gateway.store.database import Connection, Database

_REMEMBER = 60_000_000
_ASK_REVOKED = 1_000_000
_REMEMBERED_MAX = 10_000
_NAME = 16
# What `fhirUser` promises: the app may read whom it points to.
_OF_FHIR_USER = "user/Practitioner.r"


class Bearer(NamedTuple):
    """Who holds a token: the caller, what it may see, and the key that it must prove to have."""

    caller: Caller
    access: Access
    until: int
    key_thumbprint: str


class Bearers:
    """Resolves access tokens; `clock` gives microseconds since 1970."""

    def __init__(
        self, database: Database, clock: Callable[[], int], policy: Policy = DEFAULT
    ) -> None:
        self._database, self._clock, self._policy = database, clock, policy
        self._proofs = Proofs(database, clock)
        self._known: dict[str, Bearer] = {}
        self._lock = threading.Lock()
        self._asked_at = self._revoked_at = 0

    def access(self, authorization: str | None, proof: Proof | None = None) -> Access:
        """Return what the caller may see; raises Unauthorized."""
        return self.bearer(authorization, proof).access

    def bearer(self, authorization: str | None, proof: Proof | None = None) -> Bearer:
        """Return who calls; raises Unauthorized. Without a proof no bound token is good."""
        scheme, token = _presented(authorization)
        if not token:
            raise Unauthorized
        digest, now = token_digest(token), self._clock()
        self._forget_revoked(now)
        known = self._known.get(digest)
        if known is None or known.until <= now:
            known = self._find(digest, now)
        if known.key_thumbprint or scheme == "dpop":
            self._prove(known, token, scheme, proof)
        return known._replace(access=known.access.at(now))

    def revoke(self, token: str) -> None:
        """Revoke a token: at once here, within a second in every other process."""
        with self._database.write() as connection:
            revoke_token(connection, token_digest(token), self._clock())
        self.ask_again()

    def ask_again(self) -> None:
        """Ask whether anything was revoked before the next token is believed."""
        self._asked_at = 0

    def _prove(self, known: Bearer, token: str, scheme: str, proof: Proof | None) -> None:
        if scheme != "dpop" or not known.key_thumbprint or proof is None:
            raise Unauthorized("a token that is bound to a key needs its proof, another none")
        try:
            proved = self._proofs.thumbprint(proof, token)
        except InvalidProofError as error:
            raise Unauthorized("the DPoP proof is missing or wrong") from error
        if proved != known.key_thumbprint:
            raise Unauthorized("the DPoP proof is of another key")

    def _find(self, digest: str, now: int) -> Bearer:
        with self._database.read() as connection:
            token = find_token(connection, digest, now)
            caller = _caller(connection, token, now) if token else None
        if token is None or caller is None:
            self._known.pop(digest, None)
            raise Unauthorized("the access token is unknown, expired or revoked")
        until = min(token.expires_at, now + _REMEMBER)
        known = Bearer(caller, self._policy.access(caller, now), until, token.key_thumbprint)
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[digest] = known
        return known

    def _forget_revoked(self, now: int) -> None:
        if now - self._asked_at < _ASK_REVOKED:
            return
        with self._lock, self._database.read() as connection:
            revoked_at = last_revocation(connection)
            if revoked_at != self._revoked_at:
                self._known.clear()
            self._asked_at, self._revoked_at = now, revoked_at


def token_name(authorization: str | None) -> str:
    """Return the beginning of the digest of an access token, by which audit names it."""
    _, token = _presented(authorization)
    return token_digest(token)[:_NAME] if token else ""


def _presented(authorization: str | None) -> tuple[str, str]:
    """Return the scheme, in small letters, and the token; nothing for another scheme."""
    scheme, _, token = (authorization or "").partition(" ")
    scheme, token = scheme.lower(), token.strip()
    return (scheme, token) if scheme in ("bearer", "dpop") else ("", "")


def _caller(connection: Connection, token: Token, now: int) -> Caller | None:
    """Return the caller of a token; None when client, person or authorization is gone."""
    client = find_client(connection, token.client_id)
    if client is None:
        return None
    scopes = tuple(token.scope.split())
    if token.authorization_id is None:
        return Caller(client.id, scopes, boards=client.boards)
    found = find_authorization(connection, token.authorization_id, now)
    if found is None:
        return None
    extra = (_OF_FHIR_USER,) if "fhirUser" in scopes else ()
    person = people.find_person(connection, found.person)
    if person is None or not person.active:
        return None
    caller = caller_for(person, client, (*scopes, *extra))
    return replace(caller, patient=found.patient, methods=found.methods)


def caller_for(person: people.Person, client: Client, scopes: tuple[str, ...]) -> Caller:
    """Return the caller when a client acts for a person: never in a board that is not for both."""
    boards = dict.fromkeys(role.board for role in person.roles if role.board)
    return Caller(
        client.id,
        scopes,
        person=person.id,
        name=person.name,
        roles=tuple(dict.fromkeys(role.role for role in person.roles)),
        boards=tuple(one for one in boards if not client.boards or one in client.boards),
        teams=tuple(dict.fromkeys(role.team for role in person.roles if role.team)),
    )
