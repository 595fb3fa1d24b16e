"""The index of what is under seals: who read what, and which patients it concerned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from gateway.store.audit.event import Event
from gateway.store.database import Database
from gateway.store.patients import survivor
from gateway.store.tables import (
    audit_entry,
    audit_patient,
    audit_resource,
    audit_segment,
    patient,
    patient_identifier,
    resource,
)

_ENTRY = audit_entry.c
_Found = Select[tuple[int, str, int, int, int]]
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/.*)?", re.ASCII)
_IDS_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Line:
    """An event and where its line is: byte `low` of its segment, `size` bytes."""

    low: int
    size: int
    event: Event


@dataclass(frozen=True, slots=True)
class Concern:
    """What each of some lines is about: keys of resources and of patients, in their order."""

    resources: list[set[int]]
    patients: list[set[int]]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the index: where the line is, and the FHIR ids of the patients concerned."""

    key: int
    segment: str
    low: int
    size: int
    at: int
    patients: tuple[str, ...]

    @property
    def id(self) -> str:
        """The id of its AuditEvent: the same whenever the index is made anew."""
        return f"{self.segment}.{self.low}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find; empty is anything. Instants in microseconds, `until` is not included.

    `agents` are clients or persons; `patients` are keys, merged ones among them; `resource` is
    `Type/id`; `operation` among the `interactions` is any operation; `position` is the (instant,
    key) after which a page begins.
    """

    since: int | None = None
    until: int | None = None
    client: str = ""
    person: str = ""
    agents: tuple[str, ...] = ()
    interactions: tuple[str, ...] | None = None
    statuses: tuple[tuple[int, int], ...] = ()
    patients: tuple[int, ...] | None = None
    resource: str = ""
    position: tuple[int, int] | None = None
    oldest_first: bool = False


def concern(connection: Connection, events: Sequence[Event]) -> Concern:
    """Find the resources that events name and the patients these belong to now."""
    named = [_named(event) for event in events]
    found: dict[tuple[str, str], tuple[int, int | None]] = {}
    wanted = sorted(set().union(*named))
    for begin in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[begin : begin + _IDS_AT_ONCE]
        query = select(resource.c.type, resource.c.id, resource.c.key, resource.c.patient_key)
        rows = connection.execute(query.where(tuple_(resource.c.type, resource.c.id).in_(some)))
        found.update({(row.type, row.id): (row.key, row.patient_key) for row in rows})
    each = [[found[one] for one in sorted(names & found.keys())] for names in named]
    return Concern(
        [{key for key, _ in rows} for rows in each],
        [{of for _, of in rows if of is not None} for rows in each],
    )


def _named(event: Event) -> set[tuple[str, str]]:
    texts = [event.target, *event.returned]
    if event.patient:
        texts.append(f"Patient/{event.patient}")
    matches = (_REFERENCE.fullmatch(text) for text in texts)
    return {(one[1], one[2]) for one in matches if one}


def index(connection: Connection, segment_key: int, lines: Sequence[Line], about: Concern) -> None:
    """Insert entries for lines; belongs in the transaction of their seal."""
    if not lines:
        return
    rows = [
        {
            "segment_key": segment_key, "low": one.low, "size": one.size, "at": one.event.time,
            "client": one.event.client, "person": one.event.person,
            "interaction": one.event.interaction, "target": one.event.target,
            "status": one.event.status,
        }
        for one in lines
    ]  # fmt: skip
    made = insert(audit_entry).returning(_ENTRY.key, sort_by_parameter_order=True)
    keys = connection.execute(made, rows).scalars().all()
    for table, column, each in (
        (audit_patient, "patient_key", about.patients),
        (audit_resource, "resource_key", about.resources),
    ):
        links = [
            {column: target, "at": line.event.time, "entry_key": key}
            for key, line, targets in zip(keys, lines, each, strict=True)
            for target in sorted(targets)
        ]
        if links:
            connection.execute(insert(table), links)


def forget(connection: Connection, segment_key: int, some: int) -> int:
    """Delete some entries of a segment; returns how many."""
    mine = select(_ENTRY.key).where(_ENTRY.segment_key == segment_key).limit(some)
    keys = connection.execute(mine).scalars().all()
    for begin in range(0, len(keys), _IDS_AT_ONCE):
        few = keys[begin : begin + _IDS_AT_ONCE]
        connection.execute(delete(audit_patient).where(audit_patient.c.entry_key.in_(few)))
        connection.execute(delete(audit_resource).where(audit_resource.c.entry_key.in_(few)))
        connection.execute(delete(audit_entry).where(_ENTRY.key.in_(few)))
    return len(keys)


def merged_with(connection: Connection, keys: Iterable[int]) -> tuple[int, ...]:
    """Return the keys of all that are one patient with these: merges followed, undone ones not."""
    found = frontier = {survivor(connection, key) for key in keys}
    while frontier:
        query = select(patient.c.key).where(patient.c.merged_into.in_(frontier))
        frontier = set(connection.execute(query).scalars()) - found
        found = found | frontier
    return tuple(sorted(found))


def patient_of(connection: Connection, id_: str) -> tuple[int, ...]:
    """Return the keys of a patient by FHIR id, merges followed; empty when there is none."""
    rows = connection.execute(select(patient.c.key).where(patient.c.id == id_)).scalars()
    return merged_with(connection, rows)


def patient_by(connection: Connection, system: str, value: str) -> tuple[int, ...]:
    """Return the keys of a patient by identifier, merges followed; empty when there is none."""
    column = patient_identifier.c
    query = select(column.patient_key).where(column.system == system, column.value == value)
    return merged_with(connection, connection.execute(query).scalars())


def references(connection: Connection, keys: Iterable[int]) -> tuple[str, ...]:
    """Return `Patient/id` of each of these patients."""
    query = select(patient.c.id).where(patient.c.key.in_(tuple(keys))).order_by(patient.c.key)
    return tuple(f"Patient/{id_}" for id_ in connection.execute(query).scalars())


def find(connection: Connection, wanted: Wanted, limit: int) -> list[Entry]:
    """Return entries, the newest first unless wanted otherwise."""
    query = _conditions(_base(), connection, wanted)
    if query is None:
        return []
    order = (_ENTRY.at, _ENTRY.key)
    sorted_ = order if wanted.oldest_first else tuple(one.desc() for one in order)
    return _entries(connection, query.order_by(*sorted_).limit(limit))


def find_all(database: Database, wanted: Wanted, limit: int) -> Iterator[Entry]:
    """Yield entries, a few hundred in memory at once."""
    left = limit
    while left > 0:
        with database.read() as connection:
            some = find(connection, wanted, min(left, _IDS_AT_ONCE))
        if not some:
            return
        yield from some
        left -= len(some)
        wanted = replace(wanted, position=(some[-1].at, some[-1].key))


def count(connection: Connection, segment_key: int) -> int:
    """Count the entries of one segment."""
    query = select(func.count()).where(_ENTRY.segment_key == segment_key)
    return int(connection.execute(query).scalar_one())


def find_one(connection: Connection, id_: str) -> Entry | None:
    """Return the entry of an AuditEvent by its id."""
    segment, _, low = id_.rpartition(".")
    if not low.isascii() or not low.isdigit() or len(low) > 18:
        return None
    query = _base().where(audit_segment.c.name == segment, _ENTRY.low == int(low))
    return next(iter(_entries(connection, query)), None)


def _base() -> _Found:
    return select(_ENTRY.key, audit_segment.c.name, _ENTRY.low, _ENTRY.size, _ENTRY.at).join(
        audit_segment
    )


def _conditions(query: _Found, connection: Connection, wanted: Wanted) -> _Found | None:
    """Narrow a query; None when nothing can match."""
    key = _ENTRY.key
    if wanted.patients is not None:
        mine = audit_patient.c.patient_key.in_(wanted.patients)
        query = query.where(key.in_(select(audit_patient.c.entry_key).where(mine)))
    if wanted.resource:
        found = _REFERENCE.fullmatch(wanted.resource)
        if not found:
            return None
        row = select(resource.c.key).where(resource.c.type == found[1], resource.c.id == found[2])
        of = connection.execute(row).scalar()
        linked = select(audit_resource.c.entry_key).where(audit_resource.c.resource_key == of)
        query = query.where(key.in_(linked))
    return _between(_of(query, wanted), wanted)


def _of(query: _Found, wanted: Wanted) -> _Found:
    for column, value in ((_ENTRY.client, wanted.client), (_ENTRY.person, wanted.person)):
        if value:
            query = query.where(column == value)
    if wanted.agents:
        names = wanted.agents
        query = query.where(or_(_ENTRY.client.in_(names), _ENTRY.person.in_(names)))
    if wanted.interactions is not None:
        asked: list[ColumnElement[bool]] = [_ENTRY.interaction.in_(wanted.interactions)]
        if "operation" in wanted.interactions:
            asked.append(_ENTRY.interaction.startswith("operation:"))
        query = query.where(or_(*asked))
    if wanted.statuses:
        query = query.where(or_(*(
            and_(_ENTRY.status >= low, _ENTRY.status < high) for low, high in wanted.statuses
        )))  # fmt: skip
    return query


def _between(query: _Found, wanted: Wanted) -> _Found:
    if wanted.since is not None:
        query = query.where(_ENTRY.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_ENTRY.at < wanted.until)
    if wanted.position is not None:
        position, here = tuple_(*wanted.position), tuple_(_ENTRY.at, _ENTRY.key)
        query = query.where(here > position if wanted.oldest_first else here < position)
    return query


def _entries(connection: Connection, query: _Found) -> list[Entry]:
    rows = connection.execute(query).all()
    about: dict[int, list[str]] = {}
    keys = [row.key for row in rows]
    for begin in range(0, len(keys), _IDS_AT_ONCE):
        linked = (
            select(audit_patient.c.entry_key, patient.c.id)
            .join(patient, patient.c.key == audit_patient.c.patient_key)
            .where(audit_patient.c.entry_key.in_(keys[begin : begin + _IDS_AT_ONCE]))
            .order_by(audit_patient.c.patient_key)
        )
        for key, id_ in connection.execute(linked):
            about.setdefault(key, []).append(id_)
    return [
        Entry(row.key, row.name, row.low, row.size, row.at, tuple(about.get(row.key, ())))
        for row in rows
    ]
