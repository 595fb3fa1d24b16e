"""Orders through the whole pipeline, on both databases: new, changed, cancelled, late, fetal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import demo
from gateway.errors import IdentityHold
from gateway.pipeline.requests import answer_order, find_order, note_order
from gateway.report import Identifier, Order, Organization
from gateway.store.database import Database
from gateway.store.reports import Identities
from tests.flow.office import Desk

MORAG, HAMISH = demo._PEOPLE[:2]
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
LOTHIAN = Organization("NHS Lothian", Identifier("SS999", ODS))
_NK1 = "NK1|1|Testpatient^Morag|MTH^Mother|||||||||||||19620101" + "|" * 17 + "0101625707^^^CHI^NH"


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    for number, person in enumerate((MORAG, HAMISH)):
        assert opened.send(demo._patient(*person, number))["state"] == "filed"
    return opened


def _order(
    control: str = "NW",
    hour: int = 9,
    *lines: str,
    person: tuple[str, ...] = MORAG,
    number: str = "ORD-1",
    status: str = "",
    team: str = "NHS Lothian^^^^^SS999",
    pid: str = "",
    test: str = "R208.1^Breast cancer^England-GenomicTestDirectory",
) -> bytes:
    _order.count += 1  # type: ignore[attr-defined]
    chi, name, born, sex = person
    when = f"20260210{hour:02}00"
    orc = f"ORC|{control}|{number}|||{status}||||{when}||" + "|" * 10 + team
    return demo._lines(
        f"MSH|^~\\&|WARDORDERS|LOTHIAN|GATEWAY||{when}||OML^O21|O{_order.count}|P|2.5.1",  # type: ignore[attr-defined]
        pid or f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}",
        orc,
        f"OBR|1|{number}||{test}",
        *lines,
    )


_order.count = 0  # type: ignore[attr-defined]


def _placed(desk: Desk) -> dict[str, Any]:
    (order,) = desk.resources("ServiceRequest")
    return order


def test_an_order_becomes_a_service_request_of_its_patient(desk: Desk) -> None:
    row = desk.send(_order("NW", 9, "OBX|1|ST|Q^Family history?^L||Yes", "SPM|1|SP-1||^Blood"))
    assert row["state"] == "filed"
    order = _placed(desk)
    assert row["outcome"] == [f"ServiceRequest/{order['id']}"]
    assert order["status"] == "active"
    assert order["subject"]["reference"] == f"Patient/{desk.resources('Patient')[0]['id']}"
    assert len(desk.resources("Specimen")) == len(desk.resources("Observation")) == 1
    assert len(desk.resources("Provenance")) == 1


def test_the_same_order_again_makes_no_new_version(desk: Desk) -> None:
    desk.send(_order())
    assert desk.send(_order())["state"] == "filed"
    assert _placed(desk)["meta"]["versionId"] == "1"
    assert len(desk.resources("Provenance")) == 1


def test_a_changed_order_keeps_its_resource_and_the_time_it_was_ordered(desk: Desk) -> None:
    desk.send(_order("NW", 9, "OBX|1|ST|Q^Family history?^L||Yes"))
    first = _placed(desk)
    desk.send(_order("XO", 11, test="R14.1^Rapid^England-GenomicTestDirectory"))
    second = _placed(desk)
    assert (second["id"], second["meta"]["versionId"]) == (first["id"], "2")
    assert second["code"]["coding"][0]["code"] == "R14.1"
    assert second["authoredOn"] == first["authoredOn"]
    assert [one["status"] for one in desk.resources("Observation")] == ["entered-in-error"]


def test_a_cancellation_need_not_repeat_the_order(desk: Desk) -> None:
    desk.send(_order("NW", 9, "DG1|1||^Breast cancer", "OBX|1|ST|Q^Family history?^L||Yes"))
    desk.send(_order("CA", 10, "NTE|1||Asked for twice.", test=""))
    order = _placed(desk)
    assert order["status"] == "revoked"
    assert order["reasonCode"] == [{"text": "Breast cancer"}]
    assert order["note"] == [{"text": "Asked for twice."}]
    assert len(order["supportingInfo"]) == 1
    assert [one["status"] for one in desk.resources("Observation")] == ["final"]


@pytest.mark.parametrize(
    ("control", "status", "becomes"), [("HD", "", "on-hold"), ("SC", "CM", "completed")]
)
def test_a_status_is_changed_alone(desk: Desk, control: str, status: str, becomes: str) -> None:
    desk.send(_order())
    desk.send(_order(control, 10, status=status))
    assert _placed(desk)["status"] == becomes
    desk.send(_order("RL", 11))
    assert _placed(desk)["status"] == "active"


def test_an_older_message_changes_nothing(desk: Desk) -> None:
    desk.send(_order("CA", 10))
    assert desk.send(_order("NW", 9))["state"] == "filed"
    assert (_placed(desk)["status"], _placed(desk)["meta"]["versionId"]) == ("revoked", "1")


def test_a_cancelled_order_is_not_revived(desk: Desk) -> None:
    desk.send(_order("NW", 9))
    desk.send(_order("CA", 10))
    row = desk.send(_order("XO", 11))
    assert (row["state"], row["reason"]) == ("held", "report-order")


def test_a_bare_cancellation_waits_for_its_order(desk: Desk) -> None:
    row = desk.send(_order("CA", 10, test=""))
    assert (row["state"], row["reason"]) == ("held", "report-unknown")
    desk.send(_order("NW", 9))
    desk.work()
    assert _placed(desk)["status"] == "revoked"
    assert {one.state for one in desk.rows("SELECT state FROM part")} == {"filed"}


def test_an_order_number_of_another_patient_is_held(desk: Desk) -> None:
    desk.send(_order())
    row = desk.send(_order("XO", 10, person=HAMISH))
    assert (row["state"], row["reason"]) == ("held", "report-order")
    assert len(desk.resources("ServiceRequest")) == 1


def test_another_organisation_may_use_the_same_number(desk: Desk) -> None:
    desk.send(_order())
    desk.send(_order(person=HAMISH, team="NHS Greater Glasgow and Clyde^^^^^SG999"))
    assert len(desk.resources("ServiceRequest")) == 2


def test_a_fetal_referral_is_never_filed_on_the_mother_by_accident(desk: Desk) -> None:
    pid = "PID|1||UNK-1^^^LOTHIAN^MR||Testpatient^Baby of Morag||20260209"
    raw = _order("NW", 9, pid=f"{pid}\r{_NK1}")
    row = desk.send(raw)
    assert (row["state"], row["reason"]) == ("held", "patient-identifier")
    assert desk.resources("ServiceRequest") == []


def test_an_order_that_says_fetus_of_is_filed_on_the_mother_and_says_so(desk: Desk) -> None:
    raw = _order("NW", 9, "SPM|1|SP-1||^Amniotic fluid",
                 pid=f"PID|1||||Fetus B of Testpatient^Morag\r{_NK1}")  # fmt: skip
    assert desk.send(raw)["state"] == "filed"
    order = _placed(desk)
    assert order["subject"]["reference"] == f"Patient/{desk.resources('Patient')[0]['id']}"
    texts = [one["text"] for one in order["note"]]
    assert texts == ["To be tested: Fetus, not the patient.", "This is fetus B of the patient."]
    assert desk.resources("Specimen")[0]["note"][0]["text"] == "Tested material: Fetus."
    assert len(desk.resources("Patient")) == 2


def test_a_fetal_referral_whose_mother_disagrees_with_the_index_is_held(desk: Desk) -> None:
    other = _NK1.replace("19620101", "19630101")
    row = desk.send(_order(pid=f"PID|1||||Fetus of Testpatient^Morag\r{other}"))
    assert (row["state"], row["reason"]) == ("held", "patient-mismatch")


def _answers(desk: Desk, order: Order, person: int = 0) -> str | None:
    key = desk.rows("SELECT key FROM patient ORDER BY key")[person].key
    with desk.database.write() as connection:
        return find_order(connection, order, key, "lri", Identities(connection, 99))


def test_a_result_finds_the_order_it_answers(desk: Desk) -> None:
    desk.send(_order())
    target = f"ServiceRequest/{_placed(desk)['id']}"
    number = Identifier("ORD-1", "urn:the:laboratory:has:its:own")
    assert _answers(desk, Order(placer=number, requester=LOTHIAN)) == target
    # A laboratory need not say who ordered: number and patient are then enough.
    assert _answers(desk, Order(placer=number)) == target
    assert _answers(desk, Order(placer=number), person=1) is None
    assert _answers(desk, Order(placer=Identifier("ORD-2"))) is None
    assert _answers(desk, Order()) is None
    with pytest.raises(IdentityHold):
        _answers(desk, Order(placer=number, requester=LOTHIAN), person=1)


def test_an_order_that_comes_after_its_result_takes_over_the_same_resource(desk: Desk) -> None:
    key = desk.rows("SELECT key FROM patient ORDER BY key")[0].key
    order = Order(placer=Identifier("ORD-1"))
    with desk.database.write() as connection:
        own = Identities(connection, 98).of_report("ServiceRequest", "ServiceRequest")
        ids = Identities(connection, 98)
        assert find_order(connection, order, key, "lri", ids) is None
        note_order(connection, order, key, "lri", own)
        assert find_order(connection, order, key, "lri", ids) is None
    # Another report of the same order does not make a second one.
    assert _answers(desk, order) == f"ServiceRequest/{own}"
    desk.send(_order())
    assert _placed(desk)["id"] == own
    with desk.database.write() as connection:
        found = find_order(connection, order, key, "lri", Identities(connection, 98))
    assert found == f"ServiceRequest/{own}"


def test_a_final_report_completes_its_order_and_a_withdrawal_opens_it_again(desk: Desk) -> None:
    desk.send(_order())
    target = f"ServiceRequest/{_placed(desk)['id']}"
    for status, becomes in (("preliminary", "active"), ("final", "completed"),
                            ("corrected", "completed"), ("entered-in-error", "active"),
                            ("final", "completed")):  # fmt: skip
        with desk.database.write() as connection:
            answer_order(connection, target, status, 1_790_000_000_000_000)
        assert _placed(desk)["status"] == becomes
    # What is said of the order later does not undo that its result is there.
    desk.send(_order("XO", 12))
    assert _placed(desk)["status"] == "completed"


def _result(number: str = "R-1", placer: str = "ORD-1", status: str = "F",
            person: tuple[str, ...] = MORAG) -> bytes:  # fmt: skip
    chi, name, born, sex = person
    return demo._lines(
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||20260303101500||ORU^R01|{number}{status}|P|2.5.1",
        f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}",
        f"ORC|RE|{placer}|{number}" + "|" * 18 + "NHS Lothian^^^^^SS999",
        f"OBR|1|{placer}|{number}|R208.1^Breast cancer^England-GenomicTestDirectory|||20260210"
        f"|||||||||||||||20260303101500||GE|{status}",
        f"OBX|1|FT|51969-4^Report^LN|1|No variant was found.||||||{status}",
    )


def test_a_result_answers_the_order_that_was_placed(desk: Desk) -> None:
    desk.send(_order())
    order = _placed(desk)
    assert desk.send(_result(status="P"))["state"] == "filed"
    assert _placed(desk)["status"] == "active"
    assert desk.send(_result())["state"] == "filed"
    (report,) = desk.resources("DiagnosticReport")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]
    assert _placed(desk)["status"] == "completed"
    assert _placed(desk)["requester"] == order["requester"]


def test_an_order_after_its_result_is_the_one_that_the_report_names(desk: Desk) -> None:
    desk.send(_result())
    made = _placed(desk)
    assert desk.send(_order())["state"] == "filed"
    assert _placed(desk)["id"] == made["id"]
    (report,) = desk.resources("DiagnosticReport")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{made['id']}"}]


def test_a_result_for_an_order_of_another_patient_is_held(desk: Desk) -> None:
    desk.send(_order())
    row = desk.send(_result(person=HAMISH))
    assert (row["state"], row["reason"]) == ("held", "report-order")
    assert desk.resources("DiagnosticReport") == []
