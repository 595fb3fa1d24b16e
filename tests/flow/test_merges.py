"""Merges of patients on both databases: what moves, what is refused, and how it is undone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gateway import demo
from gateway.access.scopes import access_for
from gateway.errors import NotFound, VersionConflict
from gateway.fhir.composed import Context
from gateway.fhir.conformance import check
from gateway.pipeline.merges import UNDONE, unmerge
from gateway.store.database import Database, now_micros
from gateway.store.search.query import Rules, parse_query
from gateway.store.search.run import search
from gateway.worker import run_once
from tests.flow.office import Desk

# One person, registered three times.
MORAG = demo._PEOPLE[0]
TWICE = ("0101336489", *MORAG[1:])
THRICE = ("0109560000", *MORAG[1:])
HAMISH = demo._PEOPLE[1]
_UNDONE = "SELECT count(*) FROM part WHERE state IN ('received', 'waiting')"
CHI = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    for number, person in enumerate((MORAG, TWICE, HAMISH)):
        assert opened.send(demo._patient(*person, number))["state"] == "filed"
    return opened


def _merge(
    stays: tuple[str, ...], ends: str, event: str = "A40", control: str = "M1", old: str = ""
) -> bytes:
    chi, name, born, sex = stays
    more = f"~{old}^^^CHI^NH" if old else ""
    return demo._lines(
        f"MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^{event}|{control}|P|2.5",
        f"PID|1||{chi}^^^CHI^NH{more}||{name}||{born}|{sex}",
        f"MRG|{ends}^^^CHI^NH",
    )


def _result(control: str, number: str, person: tuple[str, ...], status: str = "F") -> bytes:
    when = "20260302101500" if status == "F" else "20260402101500"
    return demo._germline(control, number, person, when, status, "Advice.")


def _found(desk: Desk, chi: str) -> list[str]:
    rules = Rules(base="http://127.0.0.1/fhir", secret=b"secret of the tests", aliases={})
    query = parse_query("DiagnosticReport", [("patient.identifier", f"{CHI}|{chi}")], rules)
    with desk.database.read() as connection:
        page = search(connection, access_for("client", ["system/*.rs"]), query)
    return sorted(one.id for one in page.matches)


def _patient(desk: Desk, chi: str) -> dict[str, Any]:
    (found,) = [
        one for one in desk.resources("Patient")
        if any(number["value"] == chi for number in one["identifier"])
    ]  # fmt: skip
    return found


def _key(desk: Desk, chi: str) -> int:
    query = f"SELECT patient_key FROM patient_identifier WHERE value = '{chi}'"
    return int(desk.rows(query)[0].patient_key)


def test_a_merge_re_points_everything_and_rewrites_nothing(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", TWICE))
    desk.send(_result("C2", "R-1", TWICE, "C"))
    before = desk.rows("SELECT key, version, body FROM resource WHERE type <> 'Patient'")
    row = desk.send(_merge(MORAG, TWICE[0]))
    assert row["state"] == "filed"
    assert row["outcome"] == [f"Patient/{_patient(desk, MORAG[0])['id']}"]
    after = {one.key: one for one in desk.rows("SELECT key, version, body FROM resource")}
    assert all(after[one.key] == one for one in before)
    morag, twice = _key(desk, MORAG[0]), _key(desk, TWICE[0])
    for table in ("report", "variant_occurrence"):
        owners = {one.patient_key for one in desk.rows(f"SELECT patient_key FROM {table}")}
        assert owners == {morag}, table
    query = (
        "SELECT v.patient_key FROM resource_version v JOIN resource r ON r.key = v.resource_key"
        " WHERE r.type <> 'Patient'"
    )
    assert {one.patient_key for one in desk.rows(query)} == {morag}
    left = desk.rows(f"SELECT type FROM resource WHERE patient_key = {twice}")
    assert [one.type for one in left] == ["Patient"]
    assert len(desk.rows("SELECT key FROM patient_merge")) == 1


def test_the_patient_that_ends_is_inactive_and_names_the_one_that_stays(desk: Desk) -> None:
    desk.send(_merge(MORAG, TWICE[0]))
    stays, ends = _patient(desk, MORAG[0]), _patient(desk, TWICE[0])
    assert (ends["active"], ends["meta"]["versionId"]) == (False, "2")
    assert ends["link"] == [
        {"other": {"reference": f"Patient/{stays['id']}"}, "type": "replaced-by"}
    ]
    assert stays["link"] == [{"other": {"reference": f"Patient/{ends['id']}"}, "type": "replaces"}]
    assert "active" not in stays


def test_the_links_stay_when_demographics_or_a_report_come_later(desk: Desk) -> None:
    desk.send(_merge(MORAG, TWICE[0]))
    later = demo._patient(*MORAG, 7).replace(b"202601010900||ADT", b"202605010900||ADT")
    desk.send(later.replace(b"G1 1AA", b"G2 2BB"))
    desk.send(_result("C1", "R-1", MORAG))
    stays = _patient(desk, MORAG[0])
    assert stays["address"][0]["postalCode"] == "G2 2BB"
    assert [one["type"] for one in stays["link"]] == ["replaces"]


def test_the_old_number_finds_the_survivors_reports(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", MORAG))
    desk.send(_result("C2", "R-2", TWICE))
    desk.send(_merge(MORAG, TWICE[0]))
    assert len(_found(desk, TWICE[0])) == 2
    assert _found(desk, TWICE[0]) == _found(desk, MORAG[0])


def test_a_result_under_the_old_number_is_filed_on_the_survivor(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", TWICE))
    desk.send(_merge(MORAG, TWICE[0]))
    assert desk.send(_result("C2", "R-1", TWICE, "C"))["state"] == "filed"
    assert desk.send(_result("C3", "R-2", TWICE))["state"] == "filed"
    stays = f"Patient/{_patient(desk, MORAG[0])['id']}"
    assert {one["subject"]["reference"] for one in desk.resources("DiagnosticReport")} == {stays}


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40"])
def test_each_kind_of_merge_merges(desk: Desk, event: str) -> None:
    assert desk.send(_merge(MORAG, TWICE[0], event))["state"] == "filed"
    assert _patient(desk, TWICE[0])["active"] is False


def test_a_repeated_merge_changes_nothing(desk: Desk) -> None:
    desk.send(_merge(MORAG, TWICE[0]))
    assert desk.send(_merge(MORAG, TWICE[0], control="M2"))["state"] == "filed"
    assert len(desk.rows("SELECT key FROM patient_merge")) == 1
    assert _patient(desk, MORAG[0])["meta"]["versionId"] == "2"


def test_a_sender_may_still_name_the_old_number_beside_the_new(desk: Desk) -> None:
    assert desk.send(_merge(MORAG, TWICE[0], old=TWICE[0]))["state"] == "filed"
    assert _patient(desk, TWICE[0])["active"] is False


def _refused(desk: Desk, raw: bytes) -> None:
    row = desk.send(raw)
    assert (row["state"], row["reason"]) == ("held", "patient-mismatch")


def test_a_merge_with_itself_is_refused(desk: Desk) -> None:
    _refused(desk, _merge(MORAG, MORAG[0]))


def test_the_inverse_of_a_merge_is_refused(desk: Desk) -> None:
    desk.send(_merge(MORAG, TWICE[0]))
    _refused(desk, _merge(TWICE, MORAG[0], control="M2"))


def test_a_circle_of_merges_is_refused(desk: Desk) -> None:
    desk.send(demo._patient(*THRICE, 8))
    desk.send(_merge(TWICE, MORAG[0]))
    desk.send(_merge(THRICE, TWICE[0], control="M2"))
    _refused(desk, _merge(MORAG, THRICE[0], control="M3"))


def test_a_patient_already_merged_elsewhere_is_refused(desk: Desk) -> None:
    desk.send(demo._patient(*THRICE, 8))
    desk.send(_merge(MORAG, TWICE[0]))
    _refused(desk, _merge(THRICE, TWICE[0], control="M2"))


def test_different_people_are_not_merged(desk: Desk) -> None:
    _refused(desk, _merge(MORAG, HAMISH[0]))
    _refused(desk, _merge((MORAG[0], *HAMISH[1:]), TWICE[0], control="M2"))


def test_a_merge_into_a_merged_patient_follows_the_chain(desk: Desk) -> None:
    desk.send(demo._patient(*THRICE, 8))
    desk.send(_result("C1", "R-1", THRICE))
    desk.send(_merge(MORAG, TWICE[0]))
    assert desk.send(_merge(TWICE, THRICE[0], control="M2"))["state"] == "filed"
    assert len(_found(desk, MORAG[0])) == 1


def test_a_sender_that_does_not_keep_the_index_merges_nothing(desk: Desk) -> None:
    mapping = desk.mappings.by_name["hl7v2"]
    assert not mapping.sender.trusted_patients
    raw = _merge(MORAG, TWICE[0]).replace(b"|PAS|SCOTLAND|", b"|WARDORDERS|LOTHIAN|")
    assert desk.send(raw)["answer"] == "AR"


def test_an_unknown_number_becomes_another_number_of_the_survivor(desk: Desk) -> None:
    assert desk.send(_merge(MORAG, THRICE[0]))["state"] == "filed"
    assert desk.send(_result("C1", "R-1", THRICE))["state"] == "filed"
    assert _found(desk, THRICE[0]) == _found(desk, MORAG[0])
    shown = [one["value"] for one in _patient(desk, MORAG[0])["identifier"]]
    assert shown == [MORAG[0]]


def test_an_unknown_survivor_is_made(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", TWICE))
    assert desk.send(_merge(THRICE, TWICE[0]))["state"] == "filed"
    assert len(_found(desk, THRICE[0])) == 1


def test_a_changed_number_keeps_the_patient(desk: Desk) -> None:
    before = _patient(desk, MORAG[0])["id"]
    assert desk.send(_merge(THRICE, MORAG[0], "A47"))["state"] == "filed"
    patient = _patient(desk, THRICE[0])
    assert patient["id"] == before
    assert [one["value"] for one in patient["identifier"]] == [THRICE[0]]
    assert desk.send(_result("C1", "R-1", MORAG))["state"] == "filed"
    assert desk.send(_merge(THRICE, MORAG[0], "A47", "M2"))["state"] == "filed"


def test_a_changed_number_that_another_patient_has_is_a_merge_and_held(desk: Desk) -> None:
    _refused(desk, _merge(MORAG, TWICE[0], "A47"))


def test_an_order_moves_with_its_patient(desk: Desk) -> None:
    chi, name, born, sex = TWICE
    desk.send(demo._lines(
        "MSH|^~\\&|WARDORDERS|LOTHIAN|GATEWAY||20260210||OML^O21|O1|P|2.5.1",
        f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}", "ORC|NW|ORD-1", "OBR|1|ORD-1||R14.1^Rapid",
    ))  # fmt: skip
    desk.send(_merge(MORAG, TWICE[0]))
    assert desk.rows("SELECT patient_key FROM placed_order")[0][0] == _key(desk, MORAG[0])


def _undo(desk: Desk, chi: str) -> list[str]:
    context = Context("2026-05-01T09:00:00+00:00", "undo", "a person")
    with desk.database.write() as connection:
        return unmerge(connection, _key(desk, chi), context, now_micros(), check)


def test_results_that_race_a_merge_never_stay_with_the_patient_that_ends(desk: Desk) -> None:
    for number in range(8):
        desk.accept(_result(f"C{number}", f"R-{number}", TWICE))
    desk.accept(_merge(MORAG, TWICE[0]))
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            while run_once(desk.office(), name) or desk.rows(_UNDONE)[0][0]:
                pass
        except VersionConflict:
            work(name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {one.state for one in desk.rows("SELECT state FROM part")} == {"filed"}
    ended = _key(desk, TWICE[0])
    left = desk.rows(f"SELECT type FROM resource WHERE patient_key = {ended}")
    assert [one.type for one in left] == ["Patient"]
    assert desk.rows(f"SELECT key FROM report WHERE patient_key = {ended}") == []


def test_an_undone_merge_gives_each_patient_back_what_was_theirs(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", MORAG))
    desk.send(_result("C2", "R-2", TWICE))
    before = _found(desk, MORAG[0]), _found(desk, TWICE[0])
    desk.send(_merge(MORAG, TWICE[0]))
    assert _undo(desk, TWICE[0]) == []
    assert (_found(desk, MORAG[0]), _found(desk, TWICE[0])) == before
    assert "link" not in _patient(desk, MORAG[0])
    assert not {"link", "active"} & set(_patient(desk, TWICE[0]))
    assert desk.send(_result("C3", "R-2", TWICE, "C"))["state"] == "filed"
    with pytest.raises(NotFound):
        _undo(desk, TWICE[0])


def test_what_was_filed_in_between_is_looked_at_by_a_person(desk: Desk) -> None:
    desk.send(_result("C1", "R-1", TWICE))
    desk.send(_merge(MORAG, TWICE[0]))
    desk.send(_result("C2", "R-1", TWICE, "C"))
    desk.send(_result("C3", "R-2", TWICE))
    review = _undo(desk, TWICE[0])
    reports = {one["identifier"][0]["value"]: one for one in desk.resources("DiagnosticReport")}
    # R-1 was of the patient that is back: what was written meanwhile names her again.
    back, stays = _patient(desk, TWICE[0])["id"], _patient(desk, MORAG[0])["id"]
    assert reports["R-1"]["subject"]["reference"] == f"Patient/{back}"
    assert "tag" not in reports["R-1"]["meta"]
    assert len(_found(desk, TWICE[0])) == 1
    assert review == [f"DiagnosticReport/{reports['R-2']['id']}"]
    assert reports["R-2"]["meta"]["tag"] == [UNDONE]
    assert reports["R-2"]["subject"]["reference"] == f"Patient/{stays}"


def test_merges_in_a_row_are_undone_one_by_one(desk: Desk) -> None:
    desk.send(demo._patient(*THRICE, 8))
    desk.send(_result("C1", "R-1", MORAG))
    desk.send(_result("C2", "R-2", TWICE))
    desk.send(_merge(TWICE, MORAG[0]))
    desk.send(_merge(THRICE, TWICE[0], control="M2"))
    _undo(desk, MORAG[0])
    assert len(_found(desk, MORAG[0])) == 1
    assert len(_found(desk, THRICE[0])) == 1
    _undo(desk, TWICE[0])
    assert _found(desk, THRICE[0]) == []
    assert len(_found(desk, TWICE[0])) == 1
