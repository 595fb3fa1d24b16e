"""Resources: versions in, kept as the exact JSON text that is served; reads by id out.

Whoever saves owns the transaction. Whoever reads must bring an Access; what it may not see is
not found, as if it were not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Connection,
    Dialect,
    Row,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from gateway.access.scopes import Access, Shape
from gateway.errors import (
    Gone,
    Hold,
    IdentityHold,
    InvalidValue,
    NotConformant,
    NotFound,
    VersionConflict,
)
from gateway.store.bulk import among
from gateway.store.dates import instant_text
from gateway.store.guard import guard
from gateway.store.prepared import Prepared, given, prepare
from gateway.store.search.extraction import is_id
from gateway.store.search.indexing import Entry, clear_index, write_index
from gateway.store.search.parameters import SHARED, TYPES
from gateway.store.tables import resource, resource_version


@dataclass(frozen=True, slots=True)
class NewVersion:
    """One resource as it should be from now on.

    `content` is the complete FHIR content without id, meta.versionId and meta.lastUpdated; it
    may carry meta.profile and meta.tag, and decimal.Decimal for numbers whose digits matter.
    `owner` (as of identity) is kept from the first version. `confidentiality` is a code of
    v3-Confidentiality; None leaves it as it is, at first N.
    """

    type: str
    id: str
    content: Mapping[str, Any]
    patient_key: int | None
    record_class: str = "nhs"
    file_digest: str | None = None
    deleted: bool = False
    owner: int = 0
    confidentiality: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a NewVersion; `changed` is False when it said nothing new."""

    type: str
    id: str
    key: int
    version: int
    changed: bool


class Stored(NamedTuple):
    """One version of a resource as it is served."""

    key: int
    type: str
    id: str
    version: int
    updated_at: int
    deleted: bool
    file_digest: str | None
    body: str


STORED = tuple(resource.c[name] for name in Stored._fields)
"""The columns of `Stored`, of the newest version."""

_NOTED = "gateway_noted"
_NORMAL = "N"


class _Plan(NamedTuple):
    new: NewVersion
    old: Row[Any] | None
    version: int
    updated_at: int
    digest: str
    changed: bool
    confidentiality: str


# -- save -----------------------------------------------------------------------------------


def save(connection: Connection, versions: Iterable[NewVersion], now_micros: int) -> list[Saved]:
    """File versions in the caller's transaction; returns one Saved for each, in order.

    References may point to resources of the same batch or to stored ones. Raises IdentityHold
    when an id would change its patient, NotConformant for a reference that leads nowhere,
    VersionConflict when another transaction filed the same resource first.
    """
    batch = list(versions)
    _check(batch)
    existing = _lock(connection, batch)
    # FHIR instants show milliseconds: storing more would make _lastUpdated disagree with them.
    now = now_micros // 1000 * 1000
    plans = [_plan(new, existing.get((new.type, new.id)), now) for new in batch]
    keys = {place: row.key for place, row in existing.items()}
    try:
        keys |= _insert(connection, [plan for plan in plans if plan.old is None])
        _update(connection, [plan for plan in plans if plan.changed and plan.old])
        write_index(connection, [_entry(plan, keys) for plan in plans if plan.changed])
    except IntegrityError as error:
        raise VersionConflict from error
    saved = [
        Saved(
            plan.new.type, plan.new.id, keys[plan.new.type, plan.new.id], plan.version, plan.changed
        )
        for plan in plans
    ]
    connection.get_execution_options().get(_NOTED, []).extend(saved)
    return saved


def note_saved(connection: Connection) -> list[Saved]:
    """Return a list in which all that this connection saves from now on is noted, in order."""
    noted: list[Saved] = []
    connection.execution_options(**{_NOTED: noted})
    return noted


def _check(batch: Sequence[NewVersion]) -> None:
    for new in batch:
        if new.type not in TYPES:
            raise NotConformant("this resource type is not stored", where=new.type)
        if not is_id(new.id):
            raise NotConformant("not a FHIR id", where=f"{new.type}.id")
        if new.patient_key is None and new.type not in SHARED:
            raise IdentityHold(
                Hold.REPORT_PATIENT, "a clinical resource names no patient", where=new.type
            )
    if len({(new.type, new.id) for new in batch}) != len(batch):
        raise VersionConflict("one resource stands twice in one batch")


def _lock(connection: Connection, batch: Sequence[NewVersion]) -> dict[tuple[str, str], Row[Any]]:
    columns = [
        resource.c[name]
        for name in ("key", "type", "id", "version", "updated_at", "patient_key", "digest",
                     "confidentiality")
    ]  # fmt: skip
    wanted = {(new.type, new.id) for new in batch}
    query = (
        select(*columns)
        .where(resource.c.type.in_({type_ for type_, _ in wanted}))
        .where(among(connection, resource.c.id, {id_ for _, id_ in wanted}))
        .order_by(resource.c.key)
        .with_for_update()
    )
    found = {(row.type, row.id): row for row in connection.execute(query)}
    return {place: row for place, row in found.items() if place in wanted}


def _plan(new: NewVersion, old: Row[Any] | None, now: int) -> _Plan:
    label = new.confidentiality or (old.confidentiality if old else _NORMAL)
    filed = [new.content, new.record_class, new.file_digest, new.deleted]
    filed += [label] if label != _NORMAL else []
    digest = hashlib.sha256(_json(filed, orjson.OPT_SORT_KEYS)).hexdigest()
    if old is None:
        return _Plan(new, None, 1, now, digest, True, label)
    if old.patient_key != new.patient_key:
        raise IdentityHold(
            Hold.REPORT_PATIENT, "a resource cannot move to another patient", where=new.type
        )
    if old.digest == digest:
        return _Plan(new, old, old.version, old.updated_at, digest, False, label)
    return _Plan(new, old, old.version + 1, max(now, old.updated_at), digest, True, label)


def _row(plan: _Plan) -> dict[str, Any]:
    new = plan.new
    return {
        "version": plan.version,
        "updated_at": plan.updated_at,
        "record_class": new.record_class,
        "deleted": new.deleted,
        "digest": plan.digest,
        "file_digest": new.file_digest,
        "body": _body(plan),
        "confidentiality": plan.confidentiality,
    }


def _body(plan: _Plan) -> str:
    new = plan.new
    own = ("resourceType", "id", "meta")
    meta = {
        "versionId": str(plan.version),
        "lastUpdated": instant_text(plan.updated_at),
        **new.content.get("meta", {}),
    }
    rest = {name: value for name, value in new.content.items() if name not in own}
    return _json({"resourceType": new.type, "id": new.id, "meta": meta, **rest}).decode()


def _json(content: Any, option: int = 0) -> bytes:
    return orjson.dumps(content, default=_number, option=option)


def _number(value: Any) -> orjson.Fragment:
    # The digits of a decimal are part of its meaning (72.50 is not 72.5): keep its text.
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise InvalidValue("not a FHIR value")


def _entry(plan: _Plan, keys: Mapping[tuple[str, str], int]) -> Entry:
    new = plan.new
    content = None if new.deleted else new.content
    return Entry(keys[new.type, new.id], new.type, new.id, new.patient_key, content)


def _insert(connection: Connection, plans: Sequence[_Plan]) -> dict[tuple[str, str], int]:
    if not plans:
        return {}
    rows = [
        {
            "type": plan.new.type,
            "id": plan.new.id,
            "patient_key": plan.new.patient_key,
            "owner": plan.new.owner,
            **_row(plan),
        }
        for plan in plans
    ]
    query = insert(resource).returning(resource.c.key, sort_by_parameter_order=True)
    keys = connection.execute(query, rows).scalars().all()
    return {(plan.new.type, plan.new.id): key for plan, key in zip(plans, keys, strict=True)}


def _update(connection: Connection, plans: Sequence[_Plan]) -> None:
    if not plans:
        return
    keys = [plan.old.key for plan in plans if plan.old]
    kept = [
        resource.c.key if column.name == "resource_key" else resource.c[column.name]
        for column in resource_version.columns
    ]
    earlier = select(*kept).where(among(connection, resource.c.key, keys))
    connection.execute(insert(resource_version).from_select(list(resource_version.c), earlier))
    names = _row(plans[0])
    query = (
        update(resource)
        .where(resource.c.key == bindparam("this_key"))
        .values({name: bindparam(f"new_{name}") for name in names})
    )
    connection.execute(
        query,
        [
            {"this_key": key, **{f"new_{name}": value for name, value in _row(plan).items()}}
            for key, plan in zip(keys, plans, strict=True)
        ],
    )
    clear_index(connection, keys)


# -- read -----------------------------------------------------------------------------------


def read(connection: Connection, access: Access, type_: str, id_: str) -> Stored:
    """Return the newest version.

    Raises Forbidden when no scope covers the type, NotFound for what is absent or may not be
    seen, Gone when it was deleted.
    """
    _require(access, type_, id_)
    return _present(_newest(connection, access, type_, id_))


def read_version(
    connection: Connection, access: Access, type_: str, id_: str, version: str
) -> Stored:
    """Return one version; the newest and the asked one must both be readable. Raises as read."""
    _require(access, type_, id_)
    for found in _all_versions(connection, access, type_, id_):
        if str(found.version) == version:
            return _present(found)
    raise NotFound


def history(connection: Connection, access: Access, type_: str, id_: str) -> list[Stored]:
    """Return every readable version, newest first. Raises Forbidden and NotFound as read."""
    _require(access, type_, id_)
    if found := _all_versions(connection, access, type_, id_):
        return found
    raise NotFound


def _require(access: Access, type_: str, id_: str) -> None:
    if type_ not in TYPES:
        raise NotFound("this server has no such resource type")
    access.require(type_, "r")
    if not is_id(id_):
        raise NotFound


def _present(row: Any) -> Stored:
    if row is None:
        raise NotFound
    if row.deleted:
        raise Gone
    return Stored._make(row)


@lru_cache(maxsize=1024)
def _reading(dialect: Dialect, access: Shape) -> Prepared:
    statement = (
        select(*STORED)
        .where(resource.c.type == given("type"), resource.c.id == given("id"))
        .where(guard(access, "r", resource))
    )
    return prepare(dialect, statement)


@lru_cache(maxsize=1024)
def _reading_earlier(dialect: Dialect, access: Shape) -> Prepared:
    earlier = resource_version.c
    statement = (
        select(
            resource.c.key,
            resource.c.type,
            resource.c.id,
            earlier.version,
            earlier.updated_at,
            earlier.deleted,
            earlier.file_digest,
            earlier.body,
        )
        .join(resource_version, earlier.resource_key == resource.c.key)
        .where(resource.c.type == given("type"), resource.c.id == given("id"))
        .where(guard(access, "r", resource), guard(access, "r", resource_version))
        .order_by(earlier.version.desc())
    )
    return prepare(dialect, statement)


def _newest(connection: Connection, access: Access, type_: str, id_: str) -> Row[Any] | None:
    statement = _reading(connection.dialect, access.shape)
    return statement.run(connection, {**access.values, "type": type_, "id": id_}).first()


def _all_versions(connection: Connection, access: Access, type_: str, id_: str) -> list[Stored]:
    newest = _newest(connection, access, type_, id_)
    if newest is None:
        return []
    statement = _reading_earlier(connection.dialect, access.shape)
    earlier = statement.run(connection, {**access.values, "type": type_, "id": id_})
    return [Stored._make(newest), *(Stored._make(row) for row in earlier)]
