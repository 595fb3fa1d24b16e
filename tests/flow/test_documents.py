"""Reports that come as documents (MDM): beside, before and in place of others."""

from __future__ import annotations

import base64
import itertools
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from gateway import demo
from gateway.store.database import Database
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
_NUMBERS = itertools.count(1)


def _document(
    number: str, *, event: str = "T02", parent: str = "", order: str = "", completion: str = "AU",
    confidentiality: str = "U", availability: str = "AV", day: int = 1, words: str = "",
) -> bytes:  # fmt: skip
    when = f"2026030{day}101500"
    pdf = f"ED|PDF^Report||^application^pdf^Base64^{PDF}"
    observation = f"TX|REP^Report Line||{words}" if words else pdf
    return "\r".join([
        f"MSH|^~\\&|LETTERS|DUNDEE|GATEWAY||{when}||MDM^{event}|{next(_NUMBERS)}|P|2.5.1",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"TXA|1|GENREP|AP|{when}||{when}|{when}|||||{number}|{parent}||{order}||{completion}"
        f"|{confidentiality}|{availability}",
        f"OBX|1|{observation}||||||F",
    ]).encode() + b"\r"  # fmt: skip


def _result(number: str, *, day: int = 1, status: str = "F", said: str = "F") -> bytes:
    when = f"2026030{day}101500"
    return "\r".join([
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||{when}||ORU^R01^ORU_R01|{next(_NUMBERS)}|P|2.5.1",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"OBR|1||{number}|R208.1^Panel^England-GenomicTestDirectory|||20260210"
        f"|||||||||||||||{when}||GE|{status}",
        f"OBX|1|CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||{said}",
    ]).encode() + b"\r"  # fmt: skip


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _documents(desk: Desk) -> dict[str, tuple[str, str]]:
    return {
        one["identifier"][0]["value"]: (one["status"], one["docStatus"])
        for one in desk.resources("DocumentReference")
    }


def _report(desk: Desk) -> dict[str, Any]:
    (report,) = desk.resources("DiagnosticReport")
    return report


def test_a_document_becomes_a_report_and_points_to_it(desk: Desk) -> None:
    assert desk.send(_document("DOC-1"))["state"] == "filed"
    (document,) = desk.resources("DocumentReference")
    report = _report(desk)
    assert document["context"]["related"] == [{"reference": f"DiagnosticReport/{report['id']}"}]
    (binary,) = desk.resources("Binary")
    url = f"Binary/{binary['id']}"
    assert document["content"][0]["attachment"]["url"] == url
    assert report["presentedForm"][0]["url"] == url
    assert (report["status"], report["identifier"][0]["value"]) == ("final", "DOC-1")


def test_lines_of_text_are_content_too(desk: Desk) -> None:
    assert desk.send(_document("DOC-1", words="No variant was found."))["state"] == "filed"
    (document,) = desk.resources("DocumentReference")
    data = document["content"][0]["attachment"]["data"]
    assert base64.b64decode(data) == b"No variant was found."


def test_a_chain_of_replacements_is_one_report_whose_last_document_is_current(desk: Desk) -> None:
    desk.send(_document("DOC-1", day=1))
    assert desk.send(_document("DOC-2", event="T10", parent="DOC-1", day=2))["state"] == "filed"
    last = _document("DOC-3", event="T10", parent="DOC-2", day=3, words="Put right.")
    assert desk.send(last)["state"] == "filed"
    assert {number: status for number, (status, _) in _documents(desk).items()} == {
        "DOC-1": "superseded", "DOC-2": "superseded", "DOC-3": "current",
    }  # fmt: skip
    named = {one["identifier"][0]["value"]: one for one in desk.resources("DocumentReference")}
    target = named["DOC-3"]["relatesTo"][0]["target"]
    assert target["reference"] == f"DocumentReference/{named['DOC-2']['id']}"
    report = _report(desk)
    assert (report["status"], report["conclusion"]) == ("amended", "Put right.")


def test_a_superseded_document_stays_as_private_as_it_was(desk: Desk) -> None:
    found = desk.mappings.by_name["letters"]
    private = replace(found, sender=replace(found.sender, record_class="private"))
    by_name = MappingProxyType({**desk.mappings.by_name, "letters": private})
    desk.mappings = replace(desk.mappings, by_name=by_name)
    desk.send(_document("DOC-1", day=1))
    desk.send(_document("DOC-2", event="T10", parent="DOC-1", day=2))
    assert {number: status for number, (status, _) in _documents(desk).items()} == {
        "DOC-1": "superseded", "DOC-2": "current",
    }  # fmt: skip
    classes = desk.rows("SELECT record_class FROM resource WHERE type = 'DocumentReference'")
    assert [row.record_class for row in classes] == ["private", "private"]


def test_a_replacement_waits_for_the_document_it_replaces(desk: Desk) -> None:
    row = desk.send(_document("DOC-2", event="T10", parent="DOC-1", day=2))
    assert (row["state"], row["reason"]) == ("held", "report-unknown")
    assert desk.resources("DiagnosticReport") == []
    assert desk.send(_document("DOC-1", day=1))["state"] == "filed"
    desk.work()
    assert {number: status for number, (status, _) in _documents(desk).items()} == {
        "DOC-1": "superseded", "DOC-2": "current",
    }  # fmt: skip


def test_a_replacement_that_names_no_document_is_held(desk: Desk) -> None:
    row = desk.send(_document("DOC-2", event="T10", day=2))
    assert (row["state"], row["detail"][0]["place"]) == ("held", "TXA-13")


def test_a_cancelled_document_takes_its_report_back(desk: Desk) -> None:
    desk.send(_document("DOC-1", day=1))
    assert desk.send(_document("DOC-1", availability="CA", day=2))["state"] == "filed"
    assert _documents(desk) == {"DOC-1": ("entered-in-error", "entered-in-error")}
    assert _report(desk)["status"] == "entered-in-error"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"confidentiality": "R"}, "TXA[1]-18"),
        ({"availability": "OB"}, "TXA[1]-19"),
        ({"completion": "??"}, "TXA[1]-17"),
    ],
)
def test_what_a_person_must_decide_is_held(desk: Desk, fields: Any, place: str) -> None:
    row = desk.send(_document("DOC-1", **fields))
    assert (row["state"], row["reason"]) == ("held", "code")
    assert row["detail"][0]["place"] == place
    assert desk.resources("DocumentReference") == []


@pytest.mark.parametrize("late", [False, True], ids=["result first", "document first"])
@pytest.mark.parametrize("days", [(1, 2), (2, 1)], ids=["newer document", "newer result"])
def test_a_result_message_outranks_a_document_of_the_same_report(
    desk: Desk, late: bool, days: tuple[int, int]
) -> None:
    messages = [_result("LET-1", day=days[0]), _document("DOC-1", order="LET-1", day=days[1])]
    for raw in reversed(messages) if late else messages:
        assert desk.send(raw)["state"] == "filed"
    report = _report(desk)
    assert len(report["result"]) == 1
    assert "presentedForm" not in report
    assert _documents(desk) == {"DOC-1": ("current", "final")}
    (document,) = desk.resources("DocumentReference")
    assert document["context"]["related"] == [{"reference": f"DiagnosticReport/{report['id']}"}]


def test_a_withdrawn_report_takes_its_documents_with_it(desk: Desk) -> None:
    desk.send(_result("LET-1", day=1))
    desk.send(_document("DOC-1", order="LET-1", day=2))
    withdrawn = _result("LET-1", day=3, status="C", said="W")
    assert desk.send(withdrawn)["state"] == "filed"
    assert _report(desk)["status"] == "entered-in-error"
    assert _documents(desk) == {"DOC-1": ("entered-in-error", "entered-in-error")}
