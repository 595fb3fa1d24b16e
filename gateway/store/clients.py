"""OAuth rows: clients, the digests of the tokens they hold, and the assertions they have used.

Every function takes a connection; those that write belong in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import NotFound
from gateway.store.tables import oauth_assertion, oauth_client, oauth_token, secret


@dataclass(frozen=True, slots=True)
class Client:
    """A system that may ask for tokens; `scope` is the most it gets, `jwks` its public keys."""

    id: str
    name: str
    scope: str
    jwks: str
    active: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token stands for."""

    client_id: str
    scope: str
    issued_at: int
    expires_at: int


def token_digest(token: str) -> str:
    """Return what is stored instead of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_client(
    connection: Connection, *, client_id: str, name: str, scope: str, jwks: str, now: int
) -> Client:
    """Insert a client and return it."""
    client = Client(client_id, name, scope, jwks, True, now)
    connection.execute(
        insert(oauth_client).values(
            id=client_id, name=name, scope=scope, jwks=jwks, active=True, created_at=now
        )
    )
    return client


def list_clients(connection: Connection) -> list[Client]:
    """Return every client, active or not, oldest first."""
    query = select(oauth_client).order_by(oauth_client.c.created_at, oauth_client.c.id)
    return [_client(row) for row in connection.execute(query)]


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Return an active client."""
    query = select(oauth_client).where(oauth_client.c.id == client_id, oauth_client.c.active)
    row = connection.execute(query).first()
    return _client(row) if row else None


def deactivate_client(connection: Connection, client_id: str, now: int) -> None:
    """Refuse a client from now on and revoke its tokens; raises NotFound."""
    query = update(oauth_client).where(oauth_client.c.id == client_id).values(active=False)
    if not connection.execute(query).rowcount:
        raise NotFound("there is no such client")
    connection.execute(
        update(oauth_token)
        .where(oauth_token.c.client_id == client_id, oauth_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def save_token(connection: Connection, digest: str, token: Token) -> None:
    """Insert the digest of a new token."""
    connection.execute(
        insert(oauth_token).values(
            digest=digest,
            client_id=token.client_id,
            scope=token.scope,
            issued_at=token.issued_at,
            expires_at=token.expires_at,
        )
    )


def find_token(connection: Connection, digest: str, now: int) -> Token | None:
    """Return a token that has neither expired nor been revoked, of a client that is active."""
    columns = oauth_token.c
    query = (
        select(columns.client_id, columns.scope, columns.issued_at, columns.expires_at)
        .join(oauth_client, oauth_client.c.id == columns.client_id)
        .where(columns.digest == digest, columns.expires_at > now)
        .where(columns.revoked_at.is_(None), oauth_client.c.active)
    )
    row = connection.execute(query).first()
    return Token(*row) if row else None


def revoke_token(connection: Connection, digest: str, now: int) -> None:
    """Revoke a token; one that is unknown or revoked already is left alone."""
    connection.execute(
        update(oauth_token)
        .where(oauth_token.c.digest == digest, oauth_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def last_revocation(connection: Connection) -> int:
    """Return when a token was last revoked; it changes whenever one is."""
    return int(connection.execute(select(func.max(oauth_token.c.revoked_at))).scalar() or 0)


def use_assertion(connection: Connection, client_id: str, jti: str, expires_at: int) -> bool:
    """Mark a client assertion as used; False when it was used before. One statement, no race."""
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    query = (
        kind.insert(oauth_assertion)
        .values(client_id=client_id, jti=jti, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(oauth_assertion.c.jti)
    )
    return connection.execute(query).first() is not None


def forget_expired(connection: Connection, now: int) -> None:
    """Delete tokens and assertions that can no longer be used."""
    connection.execute(delete(oauth_assertion).where(oauth_assertion.c.expires_at < now))
    connection.execute(delete(oauth_token).where(oauth_token.c.expires_at < now))


def shared_secret(connection: Connection, name: str) -> bytes:
    """Return a random key that all processes of this installation share, made at first use.

    Belongs in a transaction that writes.
    """
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    fresh = kind.insert(secret).values(name=name, value=secrets.token_hex(32))
    connection.execute(fresh.on_conflict_do_nothing())
    found = connection.execute(select(secret.c.value).where(secret.c.name == name)).scalar_one()
    return bytes.fromhex(found)


def _client(row: Row[Any]) -> Client:
    return Client(row.id, row.name, row.scope, row.jwks, row.active, row.created_at)
