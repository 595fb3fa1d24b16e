"""One row per laboratory report: whose it is, which version stands, and its milestones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, delete, insert, select, text, update

from gateway.store.tables import edition, identity, report, resource, variant_occurrence

_ADD = text(
    "INSERT INTO report (laboratory, number, status, clock, sent_at, content_digest, record_class,"
    " tested_subject) VALUES (:laboratory, :number, '', 0, 0, '', 'nhs', 'self')"
    " ON CONFLICT (laboratory, number) DO NOTHING"
)
_ADD_IDENTITY = text(
    "INSERT INTO identity (owner, role, type, id) VALUES (:owner, :role, :type, :id)"
    " ON CONFLICT (owner, role) DO NOTHING"
)
_ADD_FILE = text(
    "INSERT INTO file (digest, size, media_type, created_at)"
    " VALUES (:digest, :size, :media_type, :now) ON CONFLICT (digest) DO NOTHING"
)
SHARED_OWNER = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands for one report; `status` is empty before the first version is filed."""

    key: int
    patient_key: int | None
    status: str
    clock: int
    sent_at: int
    content_digest: str
    record_class: str
    flagged: bool
    quarantined: bool
    confidentiality: str = "N"


def lock(connection: Connection, laboratory: str, number: str) -> Standing:
    """Return the row of a report, made if need be, locked until the transaction ends."""
    connection.execute(_ADD, {"laboratory": laboratory, "number": number})
    found = find(connection, laboratory, number)
    if found is None:
        raise LookupError(laboratory)
    return found


def find(connection: Connection, laboratory: str, number: str) -> Standing | None:
    """Return the row of a report, locked, or None."""
    columns = [report.c[name] for name in Standing.__slots__]
    row = connection.execute(
        select(*columns)
        .where(report.c.laboratory == laboratory, report.c.number == number)
        .with_for_update()
    ).first()
    return Standing(*row) if row else None


def number_of(connection: Connection, laboratory: str, role: str) -> str | None:
    """Return the number of the report of a laboratory that has a resource of this role."""
    query = (
        select(report.c.number)
        .join(identity, identity.c.owner == report.c.key)
        .where(report.c.laboratory == laboratory, identity.c.role == role)
    )
    found = connection.execute(query).scalar()
    return None if found is None else str(found)


_ADD_EDITION = text(
    "INSERT INTO edition (report_key, part_key, status, clock, sent_at, content_digest, promotes,"
    " document, received_at) VALUES (:report_key, :part_key, :status, :clock, :sent_at,"
    " :content_digest, :promotes, :document, :now) ON CONFLICT (report_key, part_key)"
    " DO UPDATE SET status = excluded.status, clock = excluded.clock, sent_at = excluded.sent_at,"
    " content_digest = excluded.content_digest, promotes = excluded.promotes,"
    " document = excluded.document RETURNING key"
)


def add_edition(connection: Connection, report_key: int, values: Mapping[str, Any]) -> int:
    """Note a version that was received, and return its key; a part has one for each report."""
    row = {"report_key": report_key, **values}
    return int(connection.execute(_ADD_EDITION, row).scalar_one())


def editions(connection: Connection, report_key: int) -> list[tuple[Any, ...]]:
    """Return every version of a report that was received: key, status, clock, sent, digest,
    whether it only promotes, whether it came as a document.
    """
    columns = ("key", "status", "clock", "sent_at", "content_digest", "promotes", "document")
    query = select(*(edition.c[name] for name in columns)).where(edition.c.report_key == report_key)
    return [tuple(row) for row in connection.execute(query)]


def edition_of(connection: Connection, report_key: int, part_key: int) -> int | None:
    """Return the version of a report that a part brought when it was read before, or None."""
    query = select(edition.c.key).where(
        edition.c.report_key == report_key, edition.c.part_key == part_key
    )
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def part_of(connection: Connection, edition_key: int) -> int:
    """Return the part that brought a version."""
    query = select(edition.c.part_key).where(edition.c.key == edition_key)
    return int(connection.execute(query).scalar_one())


def change(connection: Connection, key: int, values: Mapping[str, Any]) -> None:
    """Set columns of one report."""
    connection.execute(update(report).where(report.c.key == key).values(**values))


class Identities:
    """Gives each role of a report its resource id: random at first, then always the same."""

    def __init__(self, connection: Connection, report_key: int) -> None:
        self._connection = connection
        self._owner = report_key
        rows = connection.execute(
            select(identity.c.role, identity.c.type, identity.c.id).where(
                identity.c.owner == report_key
            )
        )
        self.known = {row.role: (row.type, row.id) for row in rows}

    def of_report(self, type_: str, role: str) -> str:
        """Return the id of a resource that belongs to this report alone."""
        if role not in self.known:
            self.known[role] = (type_, self._add(self._owner, type_, role))
        return str(self.known[role][1])

    def shared(self, type_: str, role: str) -> str:
        """Return the id of a resource that all reports share."""
        query = select(identity.c.id).where(
            identity.c.owner == SHARED_OWNER, identity.c.role == role
        )
        found = self._connection.execute(query).scalar()
        if found is None:
            self._add(SHARED_OWNER, type_, role)
            found = self._connection.execute(query).scalar_one()
        return str(found)

    def _add(self, owner: int, type_: str, role: str) -> str:
        id_ = str(uuid4())
        values = {"owner": owner, "role": role, "type": type_, "id": id_}
        self._connection.execute(_ADD_IDENTITY, values)
        return id_


def current(connection: Connection, type_: str, id_: str) -> dict[str, Any] | None:
    """Return the current content of a resource for changing it, or None; inside filing only."""
    query = select(resource.c.body).where(resource.c.type == type_, resource.c.id == id_)
    body = connection.execute(query.with_for_update()).scalar()
    if body is None:
        return None
    content: dict[str, Any] = orjson.loads(body)
    meta = content.get("meta", {})
    for name in ("versionId", "lastUpdated"):
        meta.pop(name, None)
    content.pop("id", None)
    return content


def add_file(connection: Connection, digest: str, size: int, media_type: str, now: int) -> None:
    """Note a file that is stored already."""
    values = {"digest": digest, "size": size, "media_type": media_type, "now": now}
    connection.execute(_ADD_FILE, values)


def replace_occurrences(
    connection: Connection, report_key: int, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Set the variant occurrences of a report."""
    connection.execute(
        delete(variant_occurrence).where(variant_occurrence.c.report_key == report_key)
    )
    listed = [dict(row) for row in rows]
    if listed:
        connection.execute(insert(variant_occurrence), listed)
