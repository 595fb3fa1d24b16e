"""OAuth rows: clients, the digests of the tokens they hold, and the assertions they have used.

Every function takes a connection; those that write belong in the caller's transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import NotFound
from gateway.store.tables import oauth_assertion, oauth_authorization, oauth_client, oauth_token

PUBLIC, SYMMETRIC, ASYMMETRIC = "public", "symmetric", "asymmetric"
_LISTS = ("grant_types", "redirect_uris", "boards")


@dataclass(frozen=True, slots=True)
class Client:
    """A system that may ask for tokens; `scope` is the most it gets.

    `kind` is how it proves who it is: not at all (public), by a secret (symmetric), or with a
    key of which `jwks` or `jwks_uri` gives the public half (asymmetric). `owner` operates it.
    """

    id: str
    name: str
    scope: str
    jwks: str
    active: bool
    created_at: int
    kind: str = ASYMMETRIC
    jwks_uri: str = ""
    secret_digest: str = ""
    grant_types: tuple[str, ...] = ("client_credentials",)
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    boards: tuple[str, ...] = ()
    owner: str = ""
    dpop: bool = False
    registered_by: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token stands for; without an authorization the client speaks for itself."""

    client_id: str
    scope: str
    issued_at: int
    expires_at: int
    authorization_id: str | None = None
    key_thumbprint: str = ""


def token_digest(token: str) -> str:
    """Return what is stored instead of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_client(connection: Connection, client: Client) -> None:
    """Insert a client."""
    connection.execute(insert(oauth_client).values(_values(client)))


def create_client(
    connection: Connection, *, client_id: str, name: str, scope: str, jwks: str, now: int
) -> Client:
    """Insert a client that signs with its own key and speaks for itself; return it."""
    client = Client(client_id, name, scope, jwks, True, now)
    add_client(connection, client)
    return client


def change_credentials(
    connection: Connection, client_id: str, *, jwks: str = "", jwks_uri: str = "",
    secret_digest: str = "",
) -> None:  # fmt: skip
    """Replace what a client proves itself with; raises NotFound."""
    query = update(oauth_client).where(oauth_client.c.id == client_id)
    changed = query.values(jwks=jwks, jwks_uri=jwks_uri, secret_digest=secret_digest)
    if not connection.execute(changed).rowcount:
        raise NotFound("there is no such client")


def list_clients(connection: Connection) -> list[Client]:
    """Return every client, active or not, oldest first."""
    query = select(oauth_client).order_by(oauth_client.c.created_at, oauth_client.c.id)
    return [_client(row) for row in connection.execute(query)]


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Return an active client."""
    if "\0" in client_id:  # PostgreSQL refuses to look for it
        return None
    query = select(oauth_client).where(oauth_client.c.id == client_id, oauth_client.c.active)
    row = connection.execute(query).first()
    return _client(row) if row else None


def deactivate_client(connection: Connection, client_id: str, now: int) -> None:
    """Refuse a client from now on, end what people allowed it, revoke its tokens.

    Raises NotFound.
    """
    query = update(oauth_client).where(oauth_client.c.id == client_id).values(active=False)
    if not connection.execute(query).rowcount:
        raise NotFound("there is no such client")
    for table in (oauth_authorization, oauth_token):
        connection.execute(
            update(table)
            .where(table.c.client_id == client_id, table.c.revoked_at.is_(None))
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
            authorization_id=token.authorization_id,
            key_thumbprint=token.key_thumbprint,
        )
    )


def find_token(connection: Connection, digest: str, now: int) -> Token | None:
    """Return a token that has neither expired nor been revoked, of a client that is active."""
    columns = oauth_token.c
    query = (
        select(columns.client_id, columns.scope, columns.issued_at, columns.expires_at,
               columns.authorization_id, columns.key_thumbprint)
        .join(oauth_client, oauth_client.c.id == columns.client_id)
        .where(columns.digest == digest, columns.expires_at > now)
        .where(columns.revoked_at.is_(None), oauth_client.c.active)
    )  # fmt: skip
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


def _values(client: Client) -> dict[str, Any]:
    values = {name: getattr(client, name) for name in Client.__slots__}
    return values | {name: " ".join(values[name]) for name in _LISTS}


def _client(row: Row[Any]) -> Client:
    values = dict(row._mapping)
    return Client(**values | {name: tuple(values[name].split()) for name in _LISTS})
