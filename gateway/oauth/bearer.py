"""Bearer tokens: the Authorization header of a request in, the caller's `Access` out.

A token row is remembered for at most 60 s and never beyond its expiry; every process asks once
a second whether anything was revoked, and then forgets them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from gateway.access.policy import DEFAULT, Caller, Policy
from gateway.access.scopes import Access
from gateway.errors import Unauthorized
from gateway.store.clients import find_token, last_revocation, revoke_token, token_digest
from gateway.store.database import Database

_REMEMBER = 60_000_000
_ASK_REVOKED = 1_000_000
_REMEMBERED_MAX = 10_000
_NAME = 16


class _Known(NamedTuple):
    access: Access
    until: int


class Bearers:
    """Resolves bearer tokens; `clock` gives microseconds since 1970."""

    def __init__(
        self, database: Database, clock: Callable[[], int], policy: Policy = DEFAULT
    ) -> None:
        self._database, self._clock, self._policy = database, clock, policy
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._asked_at = self._revoked_at = 0

    def access(self, authorization: str | None) -> Access:
        """Return what the caller may see; raises Unauthorized."""
        digest, now = _digest(authorization), self._clock()
        if not digest:
            raise Unauthorized
        self._forget_revoked(now)
        known = self._known.get(digest)
        if known is None or known.until <= now:
            known = self._find(digest, now)
        return known.access.at(now)

    def revoke(self, token: str) -> None:
        """Revoke a token: at once here, within a second in every other process."""
        with self._database.write() as connection:
            revoke_token(connection, token_digest(token), self._clock())
        self._asked_at = 0

    def _find(self, digest: str, now: int) -> _Known:
        with self._database.read() as connection:
            token = find_token(connection, digest, now)
        if token is None:
            self._known.pop(digest, None)
            raise Unauthorized("the access token is unknown, expired or revoked")
        until = min(token.expires_at, now + _REMEMBER)
        caller = Caller(token.client_id, tuple(token.scope.split()))
        known = _Known(self._policy.access(caller, now), until)
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
    """Return the beginning of the digest of a bearer token, by which audit names it."""
    return _digest(authorization)[:_NAME]


def _digest(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return ""
    return token_digest(token.strip())
