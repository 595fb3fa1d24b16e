"""Sessions of browsers, and sign-ins half done; what a cookie holds is kept as its digest only.

Every function takes a connection; those that write belong in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, or_, select, update

from gateway.store.tables import person, sign_in_step, web_session


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in; instants in microseconds, `methods` as in amr (RFC 8176)."""

    person_id: str
    methods: tuple[str, ...]
    authenticated_at: int
    seen_at: int


def start_session(
    connection: Connection, digest: str, person_key: int, methods: tuple[str, ...], now: int,
    expires_at: int,
) -> None:  # fmt: skip
    """Insert a session, and forget those that have ended."""
    connection.execute(delete(web_session).where(web_session.c.expires_at <= now))
    connection.execute(
        insert(web_session).values(
            digest=digest, person_key=person_key, methods=" ".join(methods), authenticated_at=now,
            seen_at=now, expires_at=expires_at,
        )
    )  # fmt: skip


def find_session(connection: Connection, digest: str, now: int, idle_since: int) -> Session | None:
    """Return the session of an active person that has not ended and was seen since then."""
    columns = web_session.c
    query = (
        select(person.c.id, columns.methods, columns.authenticated_at, columns.seen_at)
        .join(person, person.c.key == columns.person_key)
        .where(columns.digest == digest, person.c.active)
        .where(columns.expires_at > now, columns.seen_at > idle_since)
    )
    row = connection.execute(query).first()
    return Session(row[0], tuple(row[1].split()), row[2], row[3]) if row else None


def see_session(connection: Connection, digest: str, now: int) -> None:
    """Note that a session is in use."""
    seen = update(web_session).where(web_session.c.digest == digest)
    connection.execute(seen.values(seen_at=now))


def end_session(connection: Connection, digest: str) -> None:
    """End one session; an unknown one is left alone."""
    connection.execute(delete(web_session).where(web_session.c.digest == digest))


def end_sessions(connection: Connection, person_key: int) -> None:
    """End every session of a person."""
    connection.execute(delete(web_session).where(web_session.c.person_key == person_key))


def save_step(
    connection: Connection, digest: str, content: bytes, now: int, expires_at: int
) -> None:
    """Keep a sign-in that is half done, in place of the one before; forget those given up."""
    columns = sign_in_step.c
    old = or_(columns.digest == digest, columns.expires_at <= now)
    connection.execute(delete(sign_in_step).where(old))
    values = {"digest": digest, "content": content, "expires_at": expires_at}
    connection.execute(insert(sign_in_step).values(values))


def find_step(connection: Connection, digest: str, now: int) -> bytes | None:
    """Return a sign-in that is half done."""
    columns = sign_in_step.c
    query = select(columns.content).where(columns.digest == digest, columns.expires_at > now)
    found = connection.execute(query).scalar()
    return bytes(found) if found is not None else None


def take_step(connection: Connection, digest: str, now: int) -> bytes | None:
    """Take a sign-in that is half done: one statement, so only one of many takers gets it."""
    columns = sign_in_step.c
    taken = delete(sign_in_step).where(columns.digest == digest, columns.expires_at > now)
    found = connection.execute(taken.returning(columns.content)).scalar()
    return bytes(found) if found is not None else None
