"""What a transaction changed in stored resources: each as it was and as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text

from gateway.store.resources import Saved

_NOW = text("SELECT body FROM resource WHERE key = :key")
_THEN = text("SELECT body FROM resource_version WHERE resource_key = :key AND version = :version")
_ROLES = text("SELECT type, id, role FROM identity WHERE owner IN :owners").bindparams(
    bindparam("owners", expanding=True)
)


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that was changed: its JSON before (empty when it is new) and after."""

    type: str
    id: str
    before: str
    after: str


def changes(connection: Connection, saved: Iterable[Saved]) -> list[Change]:
    """Return what became of the resources of `saved`, each once, in the order of `saved`."""
    first: dict[int, Saved] = {}
    for one in saved:
        if one.changed:
            first.setdefault(one.key, one)
    return [
        Change(one.type, one.id, _earlier(connection, one), _body(connection, one))
        for one in first.values()
    ]


def _body(connection: Connection, one: Saved) -> str:
    return str(connection.execute(_NOW, {"key": one.key}).scalar_one())


def _earlier(connection: Connection, one: Saved) -> str:
    if one.version == 1:
        return ""
    values = {"key": one.key, "version": one.version - 1}
    return str(connection.execute(_THEN, values).scalar_one())


def roles(connection: Connection, owners: Sequence[int]) -> dict[str, str]:
    """Return the role of each resource that these reports own, by `Type/id`."""
    rows = connection.execute(_ROLES, {"owners": list(owners)})
    return {f"{row.type}/{row.id}": row.role for row in rows}
