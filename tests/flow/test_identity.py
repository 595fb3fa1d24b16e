"""Who a message is about, on the way through the pipeline: decisions, the index, the feed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway import demo
from gateway.store.database import Database
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]
TWIN = ("0101336489", "Testpatient^Isla", MORAG[2], "F")


@pytest.fixture
def desk(sqlite: Database, tmp_path: Path) -> Desk:
    opened = Desk(sqlite, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _later(person: tuple[str, ...], number: int) -> bytes:
    return demo._patient(*person, number).replace(b"202601010900", b"202605010900")


def _decisions(desk: Desk) -> list[tuple[str, str, dict[str, str]]]:
    rows = desk.rows("SELECT outcome, reason, evidence FROM identity_decision ORDER BY key")
    return [(one.outcome, one.reason, dict(orjson.loads(one.evidence))) for one in rows]


def test_every_decision_is_kept_with_what_agreed(desk: Desk) -> None:
    assert desk.send(demo._negative("C1", "R-1", MORAG))["state"] == "filed"
    wrong = (MORAG[0], "Testpatint^Morag^Ailsa", *MORAG[2:])
    assert desk.send(demo._negative("C2", "R-2", wrong))["reason"] == "patient-mismatch"
    bad = ("0101625708", *MORAG[1:])
    assert desk.send(demo._negative("C3", "R-3", bad))["reason"] == "patient-identifier"
    assert desk.send(demo._negative("C4", "R-1", TWIN))["reason"] == "patient-unknown"
    (filed, held, refused, unknown) = _decisions(desk)
    assert refused == ("hold", "patient-identifier", {"number": "invalid checksum"})
    assert unknown == ("hold", "patient-unknown", {"number": "absent"})
    assert filed[:2] == ("match", "")
    assert filed[2]["name"] == "agree: the same letters"
    assert held[:2] == ("hold", "patient-mismatch")
    assert (held[2]["name"], held[2]["birth date"]) == ("differ", "agree")


def test_a_maiden_name_of_the_feed_agrees_after_a_marriage(desk: Desk) -> None:
    desk.send(_later((MORAG[0], "Reid^Morag^Ailsa", *MORAG[2:]), 2))
    (kept,) = desk.rows("SELECT family, source FROM patient_history")
    assert tuple(kept) == ("Testpatient", "pas")
    assert desk.send(demo._negative("C1", "R-1", MORAG))["state"] == "filed"


def test_an_alias_of_the_feed_agrees(desk: Desk) -> None:
    aliased = _later(MORAG, 2).replace(b"Testpatient^Morag^Ailsa", b"Reid^Morag~Brodie^Morag^^^^^M")
    assert desk.send(aliased)["state"] == "filed"
    for name in ("Brodie^Morag", "Reid^Morag", "Testpatient^Morag"):
        sent = demo._negative(name[:4], name[:4], (MORAG[0], name, *MORAG[2:]))
        assert desk.send(sent)["state"] == "filed", name


@pytest.mark.parametrize(
    ("name", "born"), [("Brodie^Ewan", "19800505"), ("Testpatient^Isla", MORAG[2])]
)
def test_the_feed_does_not_make_one_person_into_another(desk: Desk, name: str, born: str) -> None:
    desk.send(demo._patient(*TWIN, 2))
    row = desk.send(_later((MORAG[0], name, born, "F"), 3))
    assert row["reason"] == "patient-mismatch"
    assert desk.resources("Patient")[0]["name"][0]["given"] == ["Morag", "Ailsa"]


def test_a_new_born_is_provisional_until_its_number_comes(desk: Desk) -> None:
    desk_with = replace(desk.office().settings, patient_authorities=("RHSC",))
    desk.settings = desk_with
    baby = demo._lines(
        "MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202601010900||ADT^A28|B1|P|2.5", "EVN|A28|202601010900",
        "PID|1||55012^^^RHSC^MR||Testpatient^Baby of Morag||20260101|F||||||||||||||||Y|2",
        f"NK1|1|Testpatient^Morag|MTH|||||||||{MORAG[0]}^^^CHI^NH||||19620101",
    )  # fmt: skip
    assert desk.send(baby)["state"] == "filed"
    (row,) = desk.rows("SELECT key, multiple_birth FROM patient WHERE provisional")
    assert row.multiple_birth == "2"
    (edge,) = desk.rows("SELECT patient_key, relation FROM patient_relative")
    assert tuple(edge) == (row.key, "mother")
    assert "link" not in desk.resources("Patient")[1]
    assert desk.resources("Patient")[1]["multipleBirthInteger"] == 2
    named = (
        baby.replace(b"55012^^^RHSC^MR", b"55012^^^RHSC^MR~0101261004^^^CHI^NH")
        .replace(b"Baby of Morag", b"Eilidh")
        .replace(b"202601010900", b"202601020900")
        .replace(b"|B1|", b"|B2|")
    )
    assert desk.send(named)["state"] == "filed"
    assert desk.rows("SELECT key FROM patient WHERE provisional") == []
    (identifier, chi) = desk.resources("Patient")[1]["identifier"]
    assert (identifier["type"]["coding"][0]["code"], chi["type"]["coding"][0]["code"]) == (
        "MR",
        "NH",
    )


def test_where_it_was_agreed_an_unknown_patient_is_made_of_the_report(desk: Desk) -> None:
    stranger = demo._negative("C1", "R-1", ("0707411114", "Unknown^Isla", "19410707", "F"))
    assert desk.send(stranger)["reason"] == "patient-unknown"
    lri = desk.mappings.by_name["lri"]
    agreed = replace(lri, sender=replace(lri.sender, creates_patients=True))
    desk.mappings = replace(desk.mappings, by_name={**desk.mappings.by_name, "lri": agreed})
    again = demo._negative("C2", "R-2", ("0707411114", "Unknown^Isla", "19410707", "F"))
    assert desk.send(again)["state"] == "filed"
    assert _decisions(desk)[-1][0] == "create"


def test_cord_blood_of_somebody_who_was_not_just_born_is_held(desk: Desk) -> None:
    cord = demo._negative("C1", "R-1", MORAG).replace(
        b"445295009^Blood specimen with EDTA^SCT", b"122556008^Cord blood specimen^SCT"
    )
    assert desk.send(cord)["reason"] == "report-patient"


def test_a_fetus_is_of_the_mother_only_where_the_name_says_so(desk: Desk) -> None:
    fetus = demo._negative("C1", "R-1", MORAG).replace(
        b"Testpatient^Morag", b"Fetus of Testpatient^Morag"
    )
    assert desk.send(fetus)["state"] == "filed"
    assert desk.rows("SELECT tested_subject FROM report")[0].tested_subject == "fetus"


def _link(event: str, control: str, *others: str) -> bytes:
    pids = [f"PID|{at}||{chi}^^^CHI^NH||Testpatient" for at, chi in enumerate((MORAG[0], *others))]
    head = f"MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^{event}|{control}|P|2.5"
    return demo._lines(head, "EVN|A24|202604010900", *pids)


def test_linked_records_stay_two_and_see_each_other_until_unlinked(desk: Desk) -> None:
    desk.send(demo._patient(*TWIN, 2))
    for control in ("L1", "L2"):  # once more changes nothing
        assert desk.send(_link("A24", control, TWIN[0]))["state"] == "filed"
    one, other = desk.resources("Patient")
    assert one["link"] == [{"other": {"reference": f"Patient/{other['id']}"}, "type": "seealso"}]
    assert other["link"][0]["other"]["reference"] == f"Patient/{one['id']}"
    assert one["meta"]["versionId"] == "2"
    assert desk.send(_link("A37", "L3", TWIN[0]))["state"] == "filed"
    assert not any("link" in patient for patient in desk.resources("Patient"))


def test_a_link_with_nobody_or_with_itself_is_held(desk: Desk) -> None:
    assert desk.send(_link("A24", "L1", "0109560000"))["reason"] == "patient-unknown"
    assert desk.send(_link("A24", "L2", MORAG[0]))["reason"] == "patient-mismatch"
    assert desk.send(_link("A24", "L3"))["reason"] == "structure"
