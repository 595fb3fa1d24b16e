"""Local accounts, and the failed attempts to sign in that all processes count together.

Every function takes a connection; those that write belong in the caller's transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.tables import local_account, sign_in_attempt

_MINUTE = 60_000_000
_FIRST_WAIT, _LONGEST_WAIT = _MINUTE // 2, 15 * _MINUTE
_FORGET = 60 * _MINUTE


@dataclass(frozen=True, slots=True)
class Account:
    """How a person proves who it is: Argon2id hash, and a sealed TOTP secret if there is one."""

    person_key: int
    password: str
    totp: bytes | None = None
    totp_step: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What attempts are counted on, and how many failures are free."""

    name: str
    free: int

    @property
    def digest(self) -> str:
        """What is stored instead of the name."""
        return hashlib.sha256(self.name.encode("utf-8", "surrogatepass")).hexdigest()


def create_account(connection: Connection, person_key: int, password: str, now: int) -> None:
    """Insert the account of a person; `password` is its hash."""
    connection.execute(
        insert(local_account).values(person_key=person_key, password=password, changed_at=now)
    )


def find_account(connection: Connection, person_key: int) -> Account | None:
    """Return the account of a person."""
    columns = local_account.c
    query = select(columns.person_key, columns.password, columns.totp, columns.totp_step)
    row = connection.execute(query.where(columns.person_key == person_key)).first()
    return Account(row[0], row[1], bytes(row[2]) if row[2] else None, row[3]) if row else None


def set_password(connection: Connection, person_key: int, password: str, now: int) -> None:
    """Replace the hash of a password."""
    changed = update(local_account).where(local_account.c.person_key == person_key)
    connection.execute(changed.values(password=password, changed_at=now))


def set_totp(
    connection: Connection, person_key: int, sealed: bytes | None, step: int, now: int
) -> None:
    """Replace the authenticator of an account, or take it away; `step` was used to confirm it."""
    changed = update(local_account).where(local_account.c.person_key == person_key)
    connection.execute(changed.values(totp=sealed, totp_step=step, changed_at=now))


def use_totp_step(connection: Connection, person_key: int, step: int) -> bool:
    """Mark a step as used; False when it or a later one was. One statement, no race."""
    columns = local_account.c
    used = update(local_account).where(columns.person_key == person_key, columns.totp_step < step)
    return connection.execute(used.values(totp_step=step)).rowcount == 1


def try_again_at(connection: Connection, counted: Counted, now: int) -> int:
    """Count one attempt *before* it is made; 0 when it may be made, else when the next may.

    Counted first, so that many at once get no more tries than one after another. After the free
    failures each further one makes the next wait longer, up to a quarter of an hour; an hour
    after the first they are forgotten.
    """
    _row(connection, counted, now)
    columns = sign_in_attempt.c
    mine = columns.digest == counted.digest
    locked = select(columns.failures, columns.blocked_until).where(mine).with_for_update()
    failures, blocked_until = connection.execute(locked).one()
    if blocked_until > now:
        return int(blocked_until)
    failures += 1
    too_many = failures - counted.free
    until = now + min(_FIRST_WAIT << min(too_many, 10), _LONGEST_WAIT) if too_many >= 0 else 0
    changed = update(sign_in_attempt).where(mine)
    values = {"failures": failures, "blocked_until": until}
    connection.execute(changed.values(values))
    return 0


def forget_attempts(connection: Connection, counted: Counted) -> None:
    """Start from nothing: somebody succeeded."""
    connection.execute(delete(sign_in_attempt).where(sign_in_attempt.c.digest == counted.digest))


def forgive_attempt(connection: Connection, counted: Counted) -> None:
    """Take back the last attempt, which succeeded; earlier failures still count."""
    columns = sign_in_attempt.c
    mine = update(sign_in_attempt).where(columns.digest == counted.digest, columns.failures > 0)
    connection.execute(mine.values(failures=columns.failures - 1, blocked_until=0))


def _row(connection: Connection, counted: Counted, now: int) -> None:
    columns = sign_in_attempt.c
    connection.execute(delete(sign_in_attempt).where(columns.expires_at <= now))
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"failures": 0, "blocked_until": 0, "expires_at": now + _FORGET}
    fresh = kind.insert(sign_in_attempt).values(digest=counted.digest, **values)
    connection.execute(fresh.on_conflict_do_nothing())
