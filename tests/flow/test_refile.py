"""A report on the wrong patient on both databases: hidden, then moved, and what stays behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import demo
from gateway.errors import InvalidRequest, NotFound
from gateway.pipeline.decide import decision_by
from gateway.pipeline.refile import readers, refile, set_aside
from gateway.store import resources
from gateway.store.audit import Event, Journal
from gateway.store.database import Database
from tests.flow.office import Desk
from tests.store.records import access_for

MORAG, HAMISH = demo._PEOPLE[:2]
DECISION = decision_by("A Person", "the laboratory says so")
ALL = access_for("client", ["system/*.rs"])


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    opened.settings = replace(opened.settings, data=tmp_path)
    for number, person in enumerate((MORAG, HAMISH)):
        opened.send(demo._patient(*person, number))
    for control, when, status in (("C1", "20260302101500", "F"), ("C2", "20260309101500", "C")):
        sent = demo._germline(control, "R-1", MORAG, when, status, f"Advice {control}.")
        assert opened.send(sent)["state"] == "filed"
    assert opened.send(demo._pdf("C3", "R-2", MORAG))["state"] == "filed"
    return opened


def _ids(desk: Desk, type_: str = "DiagnosticReport") -> list[str]:
    return [one["id"] for one in desk.resources(type_)]


def _seen(desk: Desk, type_: str, id_: str) -> list[Any]:
    with desk.database.read() as connection:
        found = resources.history(connection, ALL, type_, id_)
    return [orjson.loads(one.body) for one in found]


def test_refiling_leaves_a_stub_and_gives_the_right_patient_a_report_of_its_own(
    desk: Desk,
) -> None:
    old = _ids(desk)[0]
    morag, hamish = _ids(desk, "Patient")
    new = refile(desk.office(), old, hamish, DECISION)
    assert new != old
    (stub,) = _seen(desk, "DiagnosticReport", old)  # its earlier versions are hidden
    assert stub == {
        "resourceType": "DiagnosticReport", "id": old, "meta": stub["meta"],
        "status": "entered-in-error", "code": {"text": "Filed in error"},
        "subject": {"reference": f"Patient/{morag}"},
    }  # fmt: skip
    versions = _seen(desk, "DiagnosticReport", new)
    assert [one["status"] for one in versions] == ["corrected", "final"]
    assert all(one["subject"]["reference"] == f"Patient/{hamish}" for one in versions)
    key = desk.rows(f"SELECT key FROM patient WHERE id = '{morag}'")[0].key
    with_morag = desk.rows(f"SELECT body, restricted FROM resource WHERE patient_key = {key}")
    assert not any(hamish in one.body for one in with_morag)
    shown = [orjson.loads(one.body) for one in with_morag if not one.restricted]
    findings = [one for one in shown if one["resourceType"] == "Observation"]
    assert {one["status"] for one in findings if "code" in one and "text" in one["code"]} == {
        "entered-in-error"
    }
    occurrences = desk.rows(f"SELECT key FROM variant_occurrence WHERE patient_key = {key}")
    assert occurrences == []


def test_the_document_of_a_refiled_report_is_hidden_and_filed_anew(desk: Desk) -> None:
    (binary,) = _ids(desk, "Binary")
    refile(desk.office(), _ids(desk)[1], _ids(desk, "Patient")[1], DECISION)
    with pytest.raises(NotFound):
        _seen(desk, "Binary", binary)
    (_, again) = desk.rows("SELECT file_digest, restricted FROM resource WHERE type = 'Binary'"
                           " ORDER BY key")  # fmt: skip
    assert again.file_digest
    assert not again.restricted


def test_later_messages_go_by_where_the_report_is_now(desk: Desk) -> None:
    refile(desk.office(), _ids(desk)[0], _ids(desk, "Patient")[1], DECISION)
    for person, state in ((MORAG, "held"), (HAMISH, "filed")):
        later = demo._germline(f"L{state}", "R-1", person, "20260401101500", "C", "Later.")
        row = desk.send(later)
        assert (row["state"], row["reason"]) == (
            state, "report-patient" if state == "held" else ""
        )  # fmt: skip


def test_who_had_read_it_is_listed_and_kept(desk: Desk) -> None:
    old = _ids(desk)[0]
    journal = Journal(desk.folder / "audit")
    for status in (200, 200, 403):
        returned = (f"DiagnosticReport/{old}/_history/2",) if status == 200 else ()
        journal.record(Event(5, "portal", "read", f"DiagnosticReport/{old}", status,
                             returned=returned, subject="P1"))  # fmt: skip
    journal.close()
    assert readers(desk.office(), old) == [("portal", "P1", 5, 5, 2)]
    refile(desk.office(), old, _ids(desk, "Patient")[1], DECISION)
    (kept,) = desk.rows("SELECT who, reason, readers FROM report_refile")
    assert (kept.who, kept.reason) == (DECISION.who, DECISION.why)
    assert orjson.loads(kept.readers) == [["portal", "P1", 5, 5, 2]]
    (decided,) = desk.rows("SELECT who, action FROM decision")
    assert tuple(decided) == (DECISION.who, "refile")


def test_a_report_in_quarantine_is_hidden_and_takes_nothing_but_a_withdrawal(desk: Desk) -> None:
    report = _ids(desk)[0]
    set_aside(desk.office(), report, DECISION)
    with pytest.raises(NotFound):
        _seen(desk, "DiagnosticReport", report)
    with pytest.raises(InvalidRequest):
        set_aside(desk.office(), report, DECISION)
    later = demo._germline("C4", "R-1", MORAG, "20260401101500", "C", "Later.")
    assert desk.send(later)["reason"] == "report-patient"
    final = demo._germline("C5", "R-1", MORAG, "20260402101500", "F", "Withdrawn.")
    withdrawn = final.replace(b"||||||F", b"||||||D")
    state = desk.send(withdrawn)["state"]
    assert state == "filed"
    with pytest.raises(NotFound):
        _seen(desk, "DiagnosticReport", report)
    set_aside(desk.office(), report, DECISION, hidden=False)
    assert _seen(desk, "DiagnosticReport", report)[0]["status"] == "entered-in-error"


def test_what_cannot_be_refiled_is_refused_and_changes_nothing(desk: Desk) -> None:
    report, (morag, hamish) = _ids(desk)[0], _ids(desk, "Patient")
    for found, patient, error in (
        (report, morag, InvalidRequest), (report, "nobody", NotFound), ("none", hamish, NotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            refile(desk.office(), found, patient, DECISION)
    with desk.database.write() as connection:
        connection.exec_driver_sql("UPDATE message SET purged_at = 1")
    with pytest.raises(InvalidRequest):
        refile(desk.office(), report, hamish, DECISION)
    assert _seen(desk, "DiagnosticReport", report)[0]["status"] == "corrected"
