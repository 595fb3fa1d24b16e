"""Order messages to requests: what is asked, for whom, why, and what must wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Hold
from gateway.pipeline.read import read
from gateway.report import Code, Quantity, Translation
from gateway.request import Request
from gateway.translate.mapping import Mappings, load_mappings

FOLDER = Path(__file__).parents[2] / "mappings"
_PID = "PID|1||0101625707^^^CHI^NH||Testpatient^Morag^Ailsa||19620101|F"
_NK1 = "NK1|1|Testpatient^Morag|MTH^Mother|||||||||||||19620101" + "|" * 17 + "0101625707^^^CHI^NH"
_OBR = "OBR|1|ORD-1||R208.1^Inherited breast cancer^England-GenomicTestDirectory"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load_mappings(FOLDER)


def _orc(control: str = "NW", number: str = "ORD-1", status: str = "") -> str:
    return (
        f"ORC|{control}|{number}||GRP-1|{status}||||20260210091000|||G1^Reid^Aonghas"
        + "|" * 9
        + "NHS Lothian^^^^^SS999"
    )


def _read(mappings: Mappings, *lines: str, type_: str = "OML^O21") -> Translation:
    header = f"MSH|^~\\&|WARDORDERS|LOTHIAN|GATEWAY||20260210091500||{type_}|1|P|2.5.1"
    raw = "".join(f"{line}\r" for line in (header, *lines))
    return read(raw.encode(), mappings.by_name["orders"])


def _one(found: Translation) -> Request:
    assert found.holds == ()
    (request,) = found.requests
    return request


@pytest.mark.parametrize("type_", ["OML^O21", "ORM^O01", "OMG^O19"])
def test_an_order_says_which_test_by_whom_and_under_which_number(
    mappings: Mappings, type_: str
) -> None:
    request = _one(_read(mappings, _PID, _orc(), _OBR, type_=type_))
    assert request.order.placer is not None
    assert request.order.placer.value == "ORD-1"
    assert request.order.test.code == "R208.1"
    assert request.order.requester is not None
    assert request.order.requester.identifier is not None
    assert request.order.requester.identifier.value == "SS999"
    assert request.order.requester_person is not None
    assert request.order.requester_person.name.family == "Reid"
    assert request.group is not None
    assert request.group.value == "GRP-1"
    assert request.clock == "2026-02-10T09:10:00+00:00"
    assert request.sent == "2026-02-10T09:15:00+00:00"


@pytest.mark.parametrize(
    ("control", "sent", "action", "status"),
    [
        ("NW", "", "new", "active"),
        ("NW", "CM", "new", "active"),
        ("NW", "ANY", "new", "active"),
        ("XO", "", "modify", "active"),
        ("RP", "", "modify", "active"),
        ("CA", "", "cancel", "revoked"),
        ("OC", "", "cancel", "revoked"),
        ("DC", "", "cancel", "revoked"),
        ("HD", "", "hold", "on-hold"),
        ("RL", "", "release", "active"),
        ("SC", "IP", "status", "active"),
        ("SC", "CM", "status", "completed"),
        ("SC", "CA", "status", "revoked"),
        ("SC", "HD", "status", "on-hold"),
    ],
)
def test_the_order_control_decides_what_is_asked(
    mappings: Mappings, control: str, sent: str, action: str, status: str
) -> None:
    request = _one(_read(mappings, _PID, _orc(control, status=sent), _OBR))
    assert (request.action, request.status) == (action, status)


@pytest.mark.parametrize(
    ("lines", "reason", "place"),
    [
        ((_PID, _orc("ZZ"), _OBR), Hold.CODE, "ORC[1]-1"),
        ((_PID, _orc(""), _OBR), Hold.STRUCTURE, "ORC-1"),
        ((_PID, _orc("SC"), _OBR), Hold.STRUCTURE, "ORC-5"),
        ((_PID, _orc("SC", status="ER"), _OBR), Hold.CODE, "ORC[1]-5"),
        ((_PID, _orc(number=""), "OBR|1|||R208.1"), Hold.STRUCTURE, "ORC-2"),
        ((_PID, _orc(), "OBR|1|ORD-1"), Hold.STRUCTURE, "OBR-4"),
        ((_orc(), _OBR), Hold.STRUCTURE, "PID"),
        ((_PID,), Hold.STRUCTURE, "ORC"),
        ((_PID, _orc(), _OBR, _orc(), _OBR), Hold.REPORT_ORDER, "ORC-2"),
    ],
)
def test_an_order_that_cannot_be_understood_is_held_with_its_place(
    mappings: Mappings, lines: tuple[str, ...], reason: Hold, place: str
) -> None:
    held = _read(mappings, *lines).holds[0]
    assert (held.hold, held.place) == (reason, place)


def test_reasons_come_from_every_place_that_has_them_and_once_each(mappings: Mappings) -> None:
    lines = [
        _PID,
        _orc(),
        f"{_OBR}{'|' * 27}^Family history",
        "DG1|1||254837009^Malignant neoplasm of breast^SCT",
        "DG1|2||^Family history",
        "OBX|1|CWE|51967-8^Disease^LN||^Hereditary breast cancer||||||O",
    ]
    request = _one(_read(mappings, *lines))
    texts = {one.text for one in request.reasons}
    assert texts == {"Malignant neoplasm of breast", "Family history", "Hereditary breast cancer"}
    assert len(request.reasons) == 3


def test_questions_and_answers_are_read_by_their_type(mappings: Mappings) -> None:
    lines = [
        _PID,
        _orc(),
        _OBR,
        "OBX|1|CWE|67471-3^Pregnancy status^LN||LA26683-5^Not pregnant^LN||||||O",
        "OBX|2|NM|AGE^Age at onset^L||41|a^^UCUM|||||O",
        "OBX|3|TX|FH^Family history^L||Mother and aunt||||||O",
        "OBX|4|ST|ASKED^Asked and not answered^L||||||||O",
    ]
    found = _read(mappings, *lines)
    values = {one.code.text: one.value for one in _one(found).answers}
    assert isinstance(values["Pregnancy status"], Code)
    assert isinstance(values["Age at onset"], Quantity)
    assert values["Age at onset"].ucum == "a"
    assert values["Family history"] == "Mother and aunt"
    assert [one.place for one in found.account] == ["OBX[1]-5", "OBX[2]-5", "OBX[3]-5"]
    assert all(one.target == "request.answers" for one in found.account)


def test_a_document_and_an_answer_without_a_question_are_named_as_left(mappings: Mappings) -> None:
    pdf = "JVBERi0xLjQKJSVFT0YK"
    lines = [_PID, _orc(), _OBR, f"OBX|1|ED|X^Letter^L||^AP^PDF^Base64^{pdf}", "OBX|2|ST|||Yes"]
    found = _read(mappings, *lines)
    assert _one(found).answers == ()
    assert [(one.place, bool(one.reason)) for one in found.account] == [
        ("OBX[1]-5", True),
        ("OBX[2]-5", True),
    ]


def test_each_specimen_is_its_own(mappings: Mappings) -> None:
    lines = [
        _PID,
        _orc(),
        _OBR,
        "SPM|1|SP-1&WARD||445295009^Blood specimen with EDTA^SCT|||||||||||||20260210",
        "SPM|2|SP-2||119376003^Tissue specimen^SCT|||||||||||||20260211",
    ]
    found = _one(_read(mappings, *lines)).specimens
    assert [one.identifier.value for one in found if one.identifier] == ["SP-1", "SP-2"]
    assert [one.collected for one in found] == ["2026-02-10", "2026-02-11"]
    assert [one.type.code for one in found] == ["445295009", "119376003"]


def test_a_message_of_several_tests_gives_each_its_own_lines(mappings: Mappings) -> None:
    lines = [
        _PID,
        _orc("NW", "ORD-1"),
        _OBR,
        "NTE|1||About the first.",
        _orc("CA", "ORD-2"),
        "OBR|2|ORD-2||R14.1^Rapid^England-GenomicTestDirectory",
        "NTE|1||About the second.",
    ]
    first, second = _read(mappings, *lines).requests
    assert (first.action, first.notes) == ("new", ("About the first.",))
    assert (second.action, second.notes) == ("cancel", ("About the second.",))


def test_tests_below_one_order_control_share_it(mappings: Mappings) -> None:
    lines = [_PID, _orc("CA", ""), _OBR, "OBR|2|ORD-2||R14.1^Rapid^England-GenomicTestDirectory"]
    found = _read(mappings, *lines).requests
    assert [one.action for one in found] == ["cancel", "cancel"]
    assert [one.order.placer.value for one in found if one.order.placer] == ["ORD-1", "ORD-2"]


@pytest.mark.parametrize(
    ("name", "tested", "family", "given"),
    [
        ("Fetus of Testpatient^Morag", "fetus", "Testpatient", ("Morag",)),
        ("FOETUS OF TESTPATIENT^MORAG", "fetus", "TESTPATIENT", ("MORAG",)),
        ("Testpatient^Fetus of Morag", "fetus", "Testpatient", ("Morag",)),
        ("Fetus A of Testpatient^Morag", "fetus", "Testpatient", ("Morag",)),
        ("Baby of Testpatient^Morag", "self", "Baby of Testpatient", ("Morag",)),
        ("Fetusof^Morag", "self", "Fetusof", ("Morag",)),
    ],
)
def test_only_the_words_fetus_of_make_it_an_order_about_a_fetus(
    mappings: Mappings, name: str, tested: str, family: str, given: tuple[str, ...]
) -> None:
    request = _one(_read(mappings, f"PID|1||||{name}", _NK1, _orc(), _OBR))
    assert request.tested_subject == tested
    assert (request.patient.name.family, request.patient.name.given) == (family, given)
    assert bool(request.notes) is (" A of" in name)


def test_the_mother_is_the_next_of_kin_that_is_named_as_such(mappings: Mappings) -> None:
    mother = _one(_read(mappings, _PID, _NK1, _orc(), _OBR)).mother
    assert mother is not None
    assert mother.identifiers[0].value == "0101625707"
    assert (mother.name.family, mother.birth_date) == ("Testpatient", "1962-01-01")
    father = _NK1.replace("MTH^Mother", "FTH^Father")
    assert _one(_read(mappings, _PID, father, _orc(), _OBR)).mother is None
