"""What people allowed clients: authorizations, and the codes, refresh tokens and launches of them.

Whatever is good once is used by one conditional statement, so that of any number of processes
that try, one wins. Every function belongs in a transaction of the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from gateway.store.tables import (
    oauth_authorization,
    oauth_code,
    oauth_launch,
    oauth_refresh,
    oauth_token,
)

_LIVE = oauth_authorization.c.revoked_at.is_(None)
_FIELDS = (
    "id", "client_id", "person", "scope", "context", "nonce", "methods", "authenticated_at",
    "key_thumbprint", "created_at", "expires_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a person allowed a client; `context` is the launch context of the token answer."""

    id: str
    client_id: str
    person: str
    scope: str
    context: dict[str, Any]
    nonce: str
    methods: tuple[str, ...]
    authenticated_at: int
    key_thumbprint: str
    created_at: int
    expires_at: int

    @property
    def patient(self) -> str:
        """The Patient id in context, or nothing."""
        return str(self.context.get("patient", ""))


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch that an EHR prepared for one app, and perhaps for one person."""

    client_id: str
    person: str
    context: dict[str, Any]
    expires_at: int


def add_authorization(connection: Connection, made: Authorization) -> None:
    """Insert an authorization."""
    values = {name: getattr(made, name) for name in _FIELDS}
    values |= {"context": orjson.dumps(made.context).decode(), "methods": " ".join(made.methods)}
    connection.execute(insert(oauth_authorization).values(values))


def find_authorization(connection: Connection, id_: str, now: int) -> Authorization | None:
    """Return an authorization that has neither ended nor been revoked."""
    columns = oauth_authorization.c
    query = select(*(columns[name] for name in _FIELDS))
    query = query.where(columns.id == id_, _LIVE, columns.expires_at > now)
    row = connection.execute(query).first()
    if row is None:
        return None
    values = dict(row._mapping)
    values |= {"context": orjson.loads(row.context), "methods": tuple(row.methods.split())}
    return Authorization(**values)


def bind_authorization(connection: Connection, id_: str, key_thumbprint: str) -> None:
    """Bind the refresh tokens of an authorization to a key."""
    query = update(oauth_authorization).where(oauth_authorization.c.id == id_)
    connection.execute(query.values(key_thumbprint=key_thumbprint))


def add_code(
    connection: Connection, digest: str, authorization_id: str, redirect_uri: str,
    code_challenge: str, expires_at: int,
) -> None:  # fmt: skip
    """Insert the digest of a new authorization code."""
    connection.execute(
        insert(oauth_code).values(
            digest=digest, authorization_id=authorization_id, redirect_uri=redirect_uri,
            code_challenge=code_challenge, expires_at=expires_at,
        )
    )  # fmt: skip


def use_code(
    connection: Connection, digest: str, client_id: str, redirect_uri: str, code_challenge: str,
    now: int,
) -> str | None:  # fmt: skip
    """Use a code and return its authorization; None unless everything it is bound to agrees."""
    bound = (oauth_code.c.redirect_uri == redirect_uri) & (
        oauth_code.c.code_challenge == code_challenge
    )
    return _use(connection, oauth_code, digest, client_id, now, bound)


def add_refresh(
    connection: Connection, digest: str, authorization_id: str, expires_at: int
) -> None:
    """Insert the digest of a new refresh token."""
    connection.execute(
        insert(oauth_refresh).values(
            digest=digest, authorization_id=authorization_id, expires_at=expires_at
        )
    )


def use_refresh(connection: Connection, digest: str, client_id: str, now: int) -> str | None:
    """Use a refresh token of a client and return its authorization, or None."""
    return _use(connection, oauth_refresh, digest, client_id, now)


def refresh_owner(connection: Connection, digest: str) -> str | None:
    """Return the client that a refresh token was given to, used or not."""
    query = (
        select(oauth_authorization.c.client_id)
        .join(oauth_refresh, oauth_refresh.c.authorization_id == oauth_authorization.c.id)
        .where(oauth_refresh.c.digest == digest)
    )
    return connection.execute(query).scalar()


def find_refresh(connection: Connection, digest: str, now: int) -> tuple[str, int] | None:
    """Return (authorization id, expiry) of a refresh token that can still be used."""
    columns = oauth_refresh.c
    query = select(columns.authorization_id, columns.expires_at).where(
        columns.digest == digest, columns.used_at.is_(None), columns.expires_at > now
    )
    row = connection.execute(query).first()
    return (row.authorization_id, row.expires_at) if row else None


def family_of_used(connection: Connection, digest: str) -> str | None:
    """Return the authorization of a code or refresh token that has been used before."""
    for table in (oauth_code, oauth_refresh):
        query = select(table.c.authorization_id).where(
            table.c.digest == digest, table.c.used_at.is_not(None)
        )
        if found := connection.execute(query).scalar():
            return str(found)
    return None


def revoke_authorization(connection: Connection, id_: str, now: int) -> None:
    """End an authorization and every token that descends from it."""
    _revoke(connection, oauth_authorization.c.id == id_, now)


def revoke_person(connection: Connection, person: str, now: int) -> None:
    """End everything a person allowed: for a person who may no longer sign in."""
    _revoke(connection, oauth_authorization.c.person == person, now)


def add_launch(connection: Connection, digest: str, launch: Launch) -> None:
    """Insert the digest of a new launch handle."""
    connection.execute(
        insert(oauth_launch).values(
            digest=digest, client_id=launch.client_id, person=launch.person,
            context=orjson.dumps(launch.context).decode(), expires_at=launch.expires_at,
        )
    )  # fmt: skip


def find_launch(connection: Connection, digest: str, client_id: str, now: int) -> Launch | None:
    """Return a launch of this app that is still to be used."""
    query = select(oauth_launch).where(_launchable(digest, client_id, now))
    row = connection.execute(query).first()
    if row is None:
        return None
    return Launch(row.client_id, row.person, orjson.loads(row.context), row.expires_at)


def use_launch(connection: Connection, digest: str, client_id: str, person: str, now: int) -> bool:
    """Use a launch handle of this app and person; False when it cannot be used (any more)."""
    query = (
        update(oauth_launch)
        .where(_launchable(digest, client_id, now), oauth_launch.c.person.in_(("", person)))
        .values(used_at=now)
        .returning(oauth_launch.c.digest)
    )
    return connection.execute(query).first() is not None


def forget_ended(connection: Connection, now: int) -> None:
    """Delete launches and authorizations that have ended, with all that descends from them."""
    connection.execute(delete(oauth_launch).where(oauth_launch.c.expires_at < now))
    ended = select(oauth_authorization.c.id).where(oauth_authorization.c.expires_at < now)
    for table in (oauth_code, oauth_refresh, oauth_token):
        connection.execute(delete(table).where(table.c.authorization_id.in_(ended)))
    connection.execute(delete(oauth_authorization).where(oauth_authorization.c.expires_at < now))


def _launchable(digest: str, client_id: str, now: int) -> ColumnElement[bool]:
    columns = oauth_launch.c
    return (
        (columns.digest == digest) & (columns.client_id == client_id)
        & columns.used_at.is_(None) & (columns.expires_at > now)
    )  # fmt: skip


def _use(
    connection: Connection, table: Table, digest: str, client_id: str, now: int,
    *bound: ColumnElement[bool],
) -> str | None:  # fmt: skip
    theirs = select(oauth_authorization.c.id).where(
        oauth_authorization.c.client_id == client_id, _LIVE, oauth_authorization.c.expires_at > now
    )
    query = (
        update(table)
        .where(table.c.digest == digest, table.c.used_at.is_(None), table.c.expires_at > now)
        .where(table.c.authorization_id.in_(theirs), *bound)
        .values(used_at=now)
        .returning(table.c.authorization_id)
    )
    return connection.execute(query).scalar()


def _revoke(connection: Connection, which: ColumnElement[bool], now: int) -> None:
    families = select(oauth_authorization.c.id).where(which)
    connection.execute(
        update(oauth_token)
        .where(oauth_token.c.authorization_id.in_(families), oauth_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    connection.execute(update(oauth_authorization).where(which, _LIVE).values(revoked_at=now))
