"""Bytes in, stored graph out: what each kind of message becomes, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import demo
from gateway.errors import VersionConflict
from gateway.pipeline import file
from gateway.pipeline.file import file_part
from gateway.report import Report
from gateway.store import work
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk

MORAG, HAMISH, CALLUM, CATRIONA = demo._PEOPLE


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    for number, person in enumerate(demo._PEOPLE):
        assert opened.send(demo._patient(*person, number))["state"] == "filed"
    return opened


def _positive(control: str = "C1", status: str = "F", when: str = "20260302101500") -> bytes:
    return demo._germline(control, "R-1", MORAG, when, status, "Advice.")


def _without(message: bytes, *words: bytes) -> bytes:
    lines = [line for line in message.split(b"\r") if not any(word in line for word in words)]
    return b"\r".join(lines)


def test_every_message_of_the_demonstration_has_the_promised_outcome(
    database: Database, tmp_path: Path
) -> None:
    opened = Desk(database, tmp_path)
    for step in demo.scenario():
        row = opened.send(step.message)
        assert (step.name, row["answer"], row["state"]) == (step.name, step.answer, step.state)


def test_a_report_becomes_its_whole_graph(desk: Desk) -> None:
    desk.send(_positive())
    (report,) = desk.resources("DiagnosticReport")
    observations = desk.resources("Observation")
    assert report["status"] == "final"
    assert {one["reference"] for one in report["result"]} == {
        f"Observation/{one['id']}" for one in observations
    }
    assert len(observations) == 4
    for type_, count in (("Specimen", 1), ("ServiceRequest", 1), ("Procedure", 2), ("Task", 1),
                         ("Provenance", 1), ("Organization", 2)):  # fmt: skip
        assert len(desk.resources(type_)) == count, type_
    assert report["subject"]["reference"] == f"Patient/{desk.resources('Patient')[0]['id']}"
    occurrences = desk.rows(
        "SELECT gene, name, classification FROM variant_occurrence ORDER BY key"
    )
    assert [tuple(row) for row in occurrences] == [
        ("BRCA2", "NM_000059.4:c.5946del", "Pathogenic"),
        ("BRCA1", "NM_007294.4:c.5096G>A", "Uncertain significance"),
    ]
    (milestones,) = desk.rows("SELECT collected_at, reported_at, published_at FROM report")
    assert all(milestones)


def test_the_same_content_under_a_new_control_id_makes_no_new_version(desk: Desk) -> None:
    desk.send(_positive("C1"))
    assert desk.send(_positive("C2"))["state"] == "filed"
    assert {one["meta"]["versionId"] for one in desk.resources("DiagnosticReport")} == {"1"}
    assert len(desk.resources("Provenance")) == 1


def test_a_correction_is_a_new_version_and_keeps_ids(desk: Desk) -> None:
    first = desk.send(_positive("C1"))["outcome"]
    variants = {one["id"] for one in desk.resources("Observation")}
    corrected = _positive("C2", "C", "20260309101500")
    assert desk.send(corrected)["outcome"] == first
    (report,) = desk.resources("DiagnosticReport")
    assert (report["status"], report["meta"]["versionId"]) == ("corrected", "2")
    assert {one["id"] for one in desk.resources("Observation")} == variants


def test_a_final_report_that_changes_without_saying_so_is_amended(desk: Desk) -> None:
    desk.send(_positive("C1"))
    desk.send(demo._germline("C2", "R-1", MORAG, "20260309101500", "F", "Other advice."))
    assert desk.resources("DiagnosticReport")[0]["status"] == "amended"


def test_a_finding_missing_from_a_newer_snapshot_is_entered_in_error(desk: Desk) -> None:
    desk.send(_positive("C1"))
    desk.send(_without(_positive("C2", "C", "20260309101500"), b"|2b|"))
    statuses = sorted(one["status"] for one in desk.resources("Observation"))
    assert statuses == ["entered-in-error", "entered-in-error", "final", "final"]
    (report,) = desk.resources("DiagnosticReport")
    assert len(report["result"]) == 2


def test_a_late_preliminary_report_is_kept_and_not_published(desk: Desk) -> None:
    desk.send(_positive("C1"))
    late = demo._germline("C2", "R-1", MORAG, "20260309101500", "P", "Preliminary.")
    assert desk.send(late)["state"] == "filed"
    (report,) = desk.resources("DiagnosticReport")
    assert (report["status"], report["meta"]["versionId"]) == ("final", "1")


def test_a_report_number_of_another_patient_is_held_and_flags_the_published_one(desk: Desk) -> None:
    desk.send(_positive("C1"))
    stolen = demo._germline("C2", "R-1", HAMISH, "20260309101500", "C", "Advice.")
    row = desk.send(stolen)
    assert (row["state"], row["reason"]) == ("held", "report-patient")
    (report,) = desk.resources("DiagnosticReport")
    assert report["meta"]["tag"][0]["code"] == "newer-message-held"
    assert report["subject"]["reference"].endswith(desk.resources("Patient")[0]["id"])
    assert desk.rows("SELECT flagged FROM report WHERE status <> ''")[0][0]


def test_a_held_correction_flags_and_its_repair_clears(desk: Desk) -> None:
    desk.send(_positive("C1"))
    wrong = _positive("C2", "C", "20260309101500").replace(MORAG[2].encode(), b"19620102")
    row = desk.send(wrong)
    assert (row["state"], row["reason"]) == ("held", "patient-mismatch")
    assert row["detail"][0]["place"] == "PID-7"
    assert "tag" in desk.resources("DiagnosticReport")[0]["meta"]
    desk.send(_positive("C3", "C", "20260309101500"))
    assert "tag" not in desk.resources("DiagnosticReport")[0]["meta"]


@pytest.mark.parametrize(
    ("change", "reason", "place"),
    [
        ((b"0101625707^^^CHI", b"0101625708^^^CHI"), "patient-identifier", "PID-3"),
        ((b"0101625707^^^CHI^NH", b"^^^^MR"), "patient-identifier", "PID-3"),
        ((b"||GE|F", b"||GE|Y"), "code", "OBR[1]-25"),
        ((b"LA6576-8^Positive", b"LA9999-9^Nonsense"), "code", "OBX[1]-5"),
        ((b"LA9633-4^Present", b"LA9633-4x^Present"), "code", "OBX[6]-5"),
        ((b"LA6683-2^Germline", b"ZZ^Martian"), "code", "OBX[12]-5"),
        ((b"||||||F\rOBX|2|", b"||||||Y\rOBX|2|"), "code", "OBX[1]-11"),
        ((b"|51968-6^^LN|", b"||"), "structure", "OBX[1]-3"),
        ((b"|20260210|", b"|20261399|"), "content", "OBR[1]-7"),
        ((b"R-1|R-1", b"|"), "structure", "OBR-3"),
        ((b"\rPID|", b"\rZID|"), "structure", "PID"),
        ((b"BRCA2 variant", b"BRCA2 v\xff\xfeariant"), "charset", "OBX[2]"),
    ],
)  # fmt: skip
def test_what_a_person_must_decide_is_held_with_its_place(
    desk: Desk, change: tuple[bytes, bytes], reason: str, place: str
) -> None:
    message = _positive()
    if change[0] == b"R-1|R-1":
        message = message.replace(b"ORC|RE|ORD-R-1|R-1", b"ORC|RE|ORD-R-1|")
        message = message.replace(b"OBR|1|ORD-R-1|R-1|", b"OBR|1|ORD-R-1||")
    assert change[0] in message or change[0] == b"R-1|R-1"
    row = desk.send(message.replace(*change) if change[0] != b"R-1|R-1" else message)
    assert (row["answer"], row["state"], row["reason"]) == ("AA", "held", reason)
    assert place in {note["place"] for note in row["detail"] if "hold" in note}
    assert desk.resources("DiagnosticReport") == []


@pytest.mark.parametrize("change", [(b"JVBERi0", b"JVBER*0"), (b"JVBERi0xLjQK", b"AAAAAAAAAAAA")])
def test_a_broken_pdf_is_held(desk: Desk, change: tuple[bytes, bytes]) -> None:
    row = desk.send(demo._pdf("C1", "IG-1", CALLUM).replace(*change))
    assert (row["answer"], row["state"], row["reason"]) == ("AA", "held", "attachment")


def test_a_pdf_that_is_cut_short_is_held(desk: Desk) -> None:
    message = demo._pdf("C1", "IG-1", CALLUM)
    start = message.index(b"JVBERi0")
    cut = message[: start + 200] + message[message.index(b"|", start) :]
    assert desk.send(cut)["reason"] == "attachment"


def test_a_pdf_is_stored_once_and_served_by_reference(desk: Desk) -> None:
    desk.send(demo._pdf("C1", "IG-1", CALLUM))
    (report,) = desk.resources("DiagnosticReport")
    (binary,) = desk.resources("Binary")
    assert report["presentedForm"][0]["url"].endswith(f"Binary/{binary['id']}")
    assert "data" not in report["presentedForm"][0]
    (row,) = desk.rows("SELECT digest, size FROM file")
    with desk.office().files.open(row.digest, row.size) as content:
        assert content.read().startswith(b"%PDF-")


def test_an_unknown_code_that_decides_nothing_keeps_its_text_and_is_filed(desk: Desk) -> None:
    message = _positive().replace(b"LA6706-1^Heterozygous", b"LA0000-0^Half and half")
    row = desk.send(message)
    assert row["state"] == "filed"
    assert any("text kept" in note["text"] for note in row["detail"])
    assert "Half and half" in str(desk.resources("Observation"))
    assert "LA0000-0" not in str(desk.resources("Observation"))


def test_demographics_follow_the_feed_and_an_older_message_changes_nothing(desk: Desk) -> None:
    newer = demo._patient(MORAG[0], "Newname^Morag", MORAG[2], "F", 90).replace(
        b"202601010900", b"202602010900"
    )
    desk.send(newer)
    older = demo._patient(MORAG[0], "Oldname^Morag", MORAG[2], "F", 91).replace(
        b"EVN|A28|202601010900", b"EVN|A28|202512010900"
    )
    desk.send(older)  # sent later, of something recorded earlier
    assert desk.resources("Patient")[0]["name"][0]["family"] == "Newname"


def test_an_empty_field_is_no_change_and_null_deletes(desk: Desk) -> None:
    base = demo._patient(*MORAG, 92).replace(b"202601010900||ADT", b"202602010900||ADT")
    desk.send(base.replace(b"^^^^G1 1AA", b""))
    assert desk.resources("Patient")[0]["address"][0]["postalCode"] == "G1 1AA"
    gone = demo._patient(*MORAG, 93).replace(b"202601010900||ADT", b"202603010900||ADT")
    desk.send(gone.replace(b"^^^^G1 1AA", b'^^^^""'))
    assert "address" not in desk.resources("Patient")[0]


def _part(desk: Desk, claim: work.Claim) -> work.Part:
    with desk.database.read() as connection:
        return work.bring(connection, claim.parts[0])


def test_a_worker_that_lost_its_lane_files_nothing(desk: Desk) -> None:
    desk.accept(_positive())
    lost = work.claim(desk.database, "slow", now_micros(), 1)
    assert lost is not None
    taken = work.claim(desk.database, "fast", now_micros() + 10, 60_000_000)
    assert taken is not None
    assert taken.fence > lost.fence
    assert file_part(lost, _part(desk, lost), desk.office()) == "lost"
    assert desk.resources("DiagnosticReport") == []
    assert file_part(taken, _part(desk, taken), desk.office()) == "filed"


def test_a_part_that_lost_to_another_worker_is_filed_at_once_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = file.Publisher.publish, iter([VersionConflict(), VersionConflict()])

    def publish(self: file.Publisher, report: Report) -> list[str]:
        outcome = real(self, report)
        if failure := next(failures, None):
            raise failure
        return outcome

    monkeypatch.setattr(file.Publisher, "publish", publish)
    assert desk.send(_positive())["state"] == "filed"
    assert len(desk.resources("DiagnosticReport")) == 1


def test_a_part_that_always_loses_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish(*_: object) -> list[str]:
        raise VersionConflict

    monkeypatch.setattr(file.Publisher, "publish", publish)
    row = desk.send(_positive())
    assert (row["state"], row["reason"]) == ("waiting", "conflict")
    assert desk.resources("DiagnosticReport") == []
