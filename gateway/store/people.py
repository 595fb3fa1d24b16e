"""People who may sign in, and their roles."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody is, in which board and team."""

    role: str
    board: str = ""
    team: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known to this gateway; `id` is random."""

    key: int
    id: str
    issuer: str
    subject: str
    name: str
    active: bool
    roles: tuple[Role, ...] = ()


def find_person(connection: Connection, id_: str) -> Person | None:
    """Return a person: nobody is known yet."""
    return None
