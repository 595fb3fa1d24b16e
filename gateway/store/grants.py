"""Grants: a person, team or client may see a patient or one report, for a while, for a reason.

A break-glass is a grant that a person gave themselves; somebody must look into each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from gateway.errors import InvalidRequest, NotFound
from gateway.store import patients
from gateway.store.tables import access_grant, identity, patient, report

BREAK_GLASS = "break-glass"
GRANTEES = ("person", "team", "client")
_grant = access_grant.c


@dataclass(frozen=True, slots=True)
class Grant:
    """What is to be granted: `grantee` is `person:`, `team:` or `client:` and an id or code.

    `report` is the id of a DiagnosticReport, empty for all of the patient; instants are
    microseconds since 1970. `restricted` opens restricted rows too.
    """

    grantee: str
    patient: str
    report: str
    reason: str
    given_by: str
    given_at: int
    expires_at: int
    kind: str = "grant"
    restricted: bool = False
    key: int = 0
    ended_by: str = ""
    ended_why: str = ""
    reviewed_by: str = ""


def add_grant(connection: Connection, asked: Grant) -> int:
    """Give a grant and return its key; a patient that was merged means who they are now.

    Raises InvalidRequest for a grantee or an expiry that cannot be, NotFound for a patient or
    report that is not there.
    """
    kind, _, name = asked.grantee.partition(":")
    if kind not in GRANTEES or not name:
        raise InvalidRequest("must be person:, team: or client: and a name", where="grantee")
    if asked.expires_at <= asked.given_at:
        raise InvalidRequest("must be later than now", where="expires")
    if not asked.reason.strip():
        raise InvalidRequest("a grant needs a reason", where="reason")
    report_key, patient_key = _report(connection, asked.report), None
    if report_key is None:
        patient_key = patients.key_of(connection, asked.patient)
    else:
        query = select(report.c.patient_key).where(report.c.key == report_key)
        patient_key = connection.execute(query).scalar()
    values = {
        name: getattr(asked, name)
        for name in ("grantee", "reason", "given_by", "given_at", "expires_at", "kind",
                     "restricted")
    }  # fmt: skip
    made = insert(access_grant).values(patient_key=patient_key, report_key=report_key, **values)
    return int(connection.execute(made.returning(_grant.key)).scalar_one())


def list_grants(connection: Connection, *, after: int = 0, limit: int = 100) -> list[Grant]:
    """Return grants, ended ones too, the newest first, with keys smaller than `after`."""
    query = _all().order_by(_grant.key.desc()).limit(limit)
    if after:
        query = query.where(_grant.key < after)
    return [_read(row) for row in connection.execute(query)]


def unreviewed(connection: Connection) -> list[Grant]:
    """Return every break-glass that nobody has looked into yet, the oldest first."""
    query = _all().where(_grant.kind == BREAK_GLASS, _grant.reviewed_by == "")
    return [_read(row) for row in connection.execute(query.order_by(_grant.key))]


def revoke_grant(connection: Connection, key: int, who: str, why: str, now: int) -> None:
    """End a grant now; raises NotFound for one that is not there or has ended."""
    query = update(access_grant).where(_grant.key == key, _grant.expires_at > now)
    if not connection.execute(query.values(expires_at=now, ended_by=who, ended_why=why)).rowcount:
        raise NotFound("there is no such grant, or it has ended")


def review_grant(connection: Connection, key: int, who: str) -> None:
    """Note who looked into a break-glass; raises NotFound."""
    query = update(access_grant).where(_grant.key == key, _grant.kind == BREAK_GLASS)
    if not connection.execute(query.values(reviewed_by=who)).rowcount:
        raise NotFound("there is no such break-glass")


def _report(connection: Connection, id_: str) -> int | None:
    if not id_:
        return None
    query = select(identity.c.owner).where(
        identity.c.role == "DiagnosticReport", identity.c.owner > 0, identity.c.id == id_
    )
    found = connection.execute(query).scalar()
    if found is None:
        raise NotFound("there is no such report")
    return int(found)


def _all() -> Select[Any]:
    reported = identity.alias()
    return (
        select(access_grant, patient.c.id.label("patient"), reported.c.id.label("report"))
        .outerjoin(patient, patient.c.key == _grant.patient_key)
        .outerjoin(
            reported,
            (reported.c.owner == _grant.report_key) & (reported.c.role == "DiagnosticReport"),
        )
    )


def _read(row: Any) -> Grant:
    values = {name: getattr(row, name) for name in Grant.__slots__}
    return Grant(**{**values, "patient": row.patient or "", "report": row.report or ""})
