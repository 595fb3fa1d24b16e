"""People: who may sign in, as whom they are known, and what they may be here.

Every function takes a connection; those that write belong in the caller's transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import InvalidRequest, NotFound, VersionConflict
from gateway.store.authorizations import revoke_person
from gateway.store.sessions import end_sessions
from gateway.store.tables import person, person_role

LOCAL = "local"
"""The issuer of accounts that the gateway itself keeps; their subject is the name to sign in."""

ROLES = ("clinician", "laboratory", "operator", "privacy", "administrator")
_GIVEN, _MAPPED = "given", "mapped"


@dataclass(frozen=True, slots=True)
class Role:
    """What a person may be; `board` is a code, `team` a name, both may be empty."""

    role: str
    board: str = ""
    team: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in; `issuer` and `subject` never change, `id` is random."""

    key: int
    id: str
    issuer: str
    subject: str
    name: str
    active: bool
    roles: tuple[Role, ...] = ()


def check_role(role: Role) -> None:
    """Raise InvalidRequest unless the role is one of ROLES."""
    if role.role not in ROLES:
        raise InvalidRequest(f"one of {', '.join(ROLES)}", where="role")


def find_person(connection: Connection, id_: str) -> Person | None:
    """Return a person by id, active or not."""
    return _one(connection, person.c.id == id_)


def person_of(connection: Connection, issuer: str, subject: str) -> Person | None:
    """Return the person whom an issuer knows by this subject, active or not."""
    return _one(connection, (person.c.issuer == issuer) & (person.c.subject == subject))


def person_named(connection: Connection, name: str) -> Person:
    """Return a person by id or by the name to sign in; raises NotFound."""
    local = (person.c.issuer == LOCAL) & (person.c.subject == name.lower())
    found = _one(connection, or_(person.c.id == name, local))
    if found is None:
        raise NotFound("there is no such person")
    return found


def list_people(connection: Connection) -> list[Person]:
    """Return everybody, active or not, by the order in which they came."""
    rows = connection.execute(select(person).order_by(person.c.key)).all()
    given = connection.execute(select(person_role))
    roles: dict[int, list[Role]] = {}
    for one in given:
        roles.setdefault(one.person_key, []).append(Role(one.role, one.board, one.team))
    return [_person(row, roles.get(row.key, ())) for row in rows]


def create_person(
    connection: Connection, *, issuer: str, subject: str, name: str, now: int
) -> Person:
    """Insert a person without roles; raises VersionConflict when there is one already."""
    if person_of(connection, issuer, subject):
        raise VersionConflict("there is such a person already")
    id_ = str(uuid.uuid4())
    made = connection.execute(
        insert(person)
        .values(id=id_, issuer=issuer, subject=subject, name=name, created_at=now, changed_at=now)
        .returning(person.c.key)
    )
    return Person(made.scalar_one(), id_, issuer, subject, name, active=True)


def rename_person(connection: Connection, key: int, name: str, now: int) -> None:
    """Keep the name that the issuer now says."""
    changed = update(person).where(person.c.key == key, person.c.name != name)
    connection.execute(changed.values(name=name, changed_at=now))


def give_role(connection: Connection, key: int, role: Role) -> None:
    """Give a role; one that the person has already is left alone. Raises InvalidRequest."""
    check_role(role)
    _insert(connection, key, role, _GIVEN)


def take_role(connection: Connection, key: int, role: Role) -> None:
    """Take a role that an administrator gave; raises NotFound."""
    columns = person_role.c
    gone = delete(person_role).where(
        columns.person_key == key, columns.role == role.role, columns.board == role.board,
        columns.team == role.team, columns.origin == _GIVEN,
    )  # fmt: skip
    if not connection.execute(gone).rowcount:
        raise NotFound("no administrator gave this person that role")


def map_roles(connection: Connection, key: int, roles: Iterable[Role]) -> None:
    """Replace the roles that came from the issuer; those given here stay."""
    old = (person_role.c.person_key == key) & (person_role.c.origin == _MAPPED)
    connection.execute(delete(person_role).where(old))
    for role in roles:
        _insert(connection, key, role, _MAPPED)


def deactivate_person(connection: Connection, id_: str, now: int) -> None:
    """Refuse a person from now on, end all sessions and tokens; raises NotFound."""
    end_sessions(connection, _set_active(connection, id_, active=False, now=now))
    revoke_person(connection, id_, now)


def reactivate_person(connection: Connection, id_: str, now: int) -> None:
    """Let a person sign in again; raises NotFound."""
    _set_active(connection, id_, active=True, now=now)


def _set_active(connection: Connection, id_: str, *, active: bool, now: int) -> int:
    changed = update(person).where(person.c.id == id_).values(active=active, changed_at=now)
    key = connection.execute(changed.returning(person.c.key)).scalar()
    if key is None:
        raise NotFound("there is no such person")
    return int(key)


def _insert(connection: Connection, key: int, role: Role, origin: str) -> None:
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"role": role.role, "board": role.board, "team": role.team, "origin": origin}
    fresh = kind.insert(person_role).values(person_key=key, **values)
    connection.execute(fresh.on_conflict_do_nothing())


def _one(connection: Connection, where: Any) -> Person | None:
    row = connection.execute(select(person).where(where)).first()
    if row is None:
        return None
    columns = person_role.c
    query = select(columns.role, columns.board, columns.team).where(columns.person_key == row.key)
    return _person(row, (Role(*one) for one in connection.execute(query)))


def _person(row: Row[Any], roles: Iterable[Role]) -> Person:
    ordered = sorted(set(roles), key=lambda one: (ROLES.index(one.role), one.board, one.team))
    return Person(
        row.key, row.id, row.issuer, row.subject, row.name, row.active, tuple(ordered)
    )  # fmt: skip
