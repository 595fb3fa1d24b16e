"""A report on the wrong patient: hidden at once, then moved by a named person (safety.md 2).

The subject of an id never changes. The patient it was filed on keeps a stub that was entered in
error and says nothing; what it said before is for the privacy role. The right patient gets the
report anew, with new ids, made of the messages again. The first never names the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.errors import IdentityHold, InvalidRequest, NotFound
from gateway.fhir.conformance import check, check_all
from gateway.pipeline import documents
from gateway.pipeline.decide import Decision, persist
from gateway.pipeline.file import Office, read_part, rereader
from gateway.pipeline.flags import flag, laboratory_key
from gateway.pipeline.publish import WITHDRAWN, Publisher
from gateway.report import Report
from gateway.store import decisions, merges, patients, quarantine, reports, work
from gateway.store.database import Connection
from gateway.store.patients import Indexed
from gateway.store.quarantine import Filed, Owned
from gateway.store.readings import Reading, who_read
from gateway.store.resources import NewVersion, save

_WORDS = "Filed in error"
_STUBS: dict[str, dict[str, Any]] = {
    "DiagnosticReport": {"code": {"text": _WORDS}},
    "Observation": {"code": {"text": _WORDS}},
    "Procedure": {},
    "Specimen": {},
    "ServiceRequest": {"intent": "order"},
    "Task": {"intent": "proposal"},
    "DocumentReference": {"content": [{"attachment": {"title": _WORDS}}]},
}
"""What a stub needs beside its status and its patient; other types are hidden whole."""


def set_aside(office: Office, report_id: str, decision: Decision, *, hidden: bool = True) -> None:
    """Hide a report from everybody but the privacy role until it is known whose it is, or show it.

    Nothing more is filed for it meanwhile, but a withdrawal. Raises NotFound; InvalidRequest when
    there is nothing to do.
    """
    persist(lambda: _set_aside(office, report_id, decision, hidden))


def _set_aside(office: Office, report_id: str, decision: Decision, hidden: bool) -> None:
    now = office.clock()
    with office.database.write() as connection:
        filed = _locked(connection, report_id)
        if filed.quarantined == hidden:
            state = "is in quarantine already" if hidden else "is not in quarantine"
            raise InvalidRequest(f"this report {state}", where=f"DiagnosticReport/{report_id}")
        quarantine.restrict(connection, quarantine.owned(connection, filed.key), hidden)
        quarantine.set_quarantined(connection, filed.key, hidden)
        action = decisions.QUARANTINE if hidden else decisions.LIFT
        _record(connection, filed, decision, action, now)


def readers(office: Office, report_id: str) -> list[Reading]:
    """Return who had read a report or anything of it, by the audit journals."""
    with office.database.read() as connection:
        filed = quarantine.lock_report(connection, report_id)
        mine = quarantine.owned(connection, filed.key) if filed else []
    folder = office.settings.data / "audit"
    return who_read(folder, [f"{one.type}/{one.id}" for one in mine])


def refile(office: Office, report_id: str, patient_id: str, decision: Decision) -> str:
    """Move a report to another patient and return the id of its new DiagnosticReport.

    Raises NotFound for an unknown report or patient, InvalidRequest when it is theirs already or
    its messages cannot be read again.
    """
    had_read = readers(office, report_id)
    return persist(lambda: _refile(office, report_id, patient_id, decision, had_read))


def _refile(
    office: Office, report_id: str, patient_id: str, decision: Decision, had_read: list[Reading]
) -> str:
    now = office.clock()
    with office.database.write() as connection:
        filed = _locked(connection, report_id)
        known = _right_patient(connection, filed, patient_id)
        wrong = filed.patient_key
        if wrong is None:
            raise InvalidRequest("nothing of it was filed", where=f"DiagnosticReport/{report_id}")
        parts = quarantine.parts(connection, filed.key)
        if any(purged for _, purged in parts):
            raise InvalidRequest("its bytes were removed by the retention rule", where="message")
        mine = quarantine.owned(connection, filed.key)
        _leave_stubs(connection, mine, patients.read(connection, wrong), now)
        _record(connection, filed, decision, decisions.REFILE, now)
        quarantine.give_up(connection, filed.key, known.key)
        made = ""
        for part_key, _ in parts:
            made = _file_again(connection, office, filed, part_key, known, now) or made
        name = f"{filed.laboratory}\n{filed.number}"
        if decisions.waits_for(connection, name, 0):
            flag(connection, name, now)
        values = {"report_key": filed.key, "from_key": wrong, "to_key": known.key, "at": now,
                  "who": decision.who, "reason": decision.why}  # fmt: skip
        quarantine.record_refile(connection, values, [list(one) for one in had_read])
    return made


def _locked(connection: Connection, report_id: str) -> Filed:
    filed = quarantine.lock_report(connection, report_id)
    if filed is None:
        raise NotFound("there is no such report", where=f"DiagnosticReport/{report_id}")
    return filed


def _right_patient(connection: Connection, filed: Filed, patient_id: str) -> Indexed:
    key = patients.find_id(connection, patient_id)
    if key is None:
        raise NotFound("there is no such patient", where=f"Patient/{patient_id}")
    key = patients.survivor(connection, key)
    if key == filed.patient_key:
        raise InvalidRequest("the report is this patient's already", where=f"Patient/{patient_id}")
    merges.lock(connection, {key, *({filed.patient_key} if filed.patient_key else ())})
    return patients.by_key(connection, key)


def _leave_stubs(connection: Connection, mine: Iterable[Owned], wrong: Indexed, now: int) -> None:
    rows = list(mine)
    kept = [one for one in rows if one.type in _STUBS]
    quarantine.restrict(connection, [one for one in rows if one.type not in _STUBS], True)
    subject = {"reference": f"Patient/{wrong.id}"}
    versions = []
    for one in kept:
        role = "for" if one.type == "Task" else "subject"
        content = {"status": WITHDRAWN, **_STUBS[one.type], role: subject}
        check({"resourceType": one.type, "id": "new", **content})
        versions.append(NewVersion(one.type, one.id, content, wrong.key, one.record_class))
    save(connection, versions, now)
    quarantine.restrict(connection, kept, False)
    quarantine.restrict_versions(connection, kept, True)


def _file_again(
    connection: Connection, office: Office, filed: Filed, part_key: int, known: Indexed, now: int
) -> str:
    """File what one part says of the report on the right patient, as when it first came."""
    part = replace(work.bring(connection, part_key), attempts=0)
    mapping = office.mappings.by_name.get(part.sender)
    translation = read_part(part, mapping)
    if translation.holds or mapping is None:
        raise InvalidRequest("a message of it cannot be read any more", where="message")
    publisher = Publisher(
        connection, part, mapping, office.issuers, now, check_all, rereader(connection, office)
    )
    made = ""
    for one in translation.reports:
        report = documents.belonging(connection, one, filed.laboratory)
        if _same(report, filed):
            standing = reports.lock(connection, filed.laboratory, filed.number)
            try:
                (made,) = publisher.file(report, standing, known)
            except IdentityHold as error:
                raise InvalidRequest(error.text, where=error.where) from error
    return made.partition("/")[2]


def _same(report: Report, filed: Filed) -> bool:
    key = laboratory_key(report.laboratory), report.number.value
    return key == (filed.laboratory, filed.number)


def _record(
    connection: Connection, filed: Filed, decision: Decision, action: str, now: int
) -> None:
    """Keep the decision with the newest message of the report."""
    *_, (part_key, _) = quarantine.parts(connection, filed.key)
    decisions.record(connection, part_key, now, decision.who, action, decision.why)
