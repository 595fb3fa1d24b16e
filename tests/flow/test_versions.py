"""Versions of one report in every order of arrival: what a reader finds at the end is the same."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import demo
from gateway.store.database import Database
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]
VARIANT = "CWE|48004-6^^LN|2{at}|{name}^^HGVS.c||||||{status}"
ONE, TWO = "NM_000059.4:c.5946del", "NM_007294.4:c.5096G>A"


def _message(kind: str, number: str, order: int) -> bytes:
    """One version: its OBR-25, its clock, and OBX with the status they need."""
    status, day, obx11, names = {
        "P": ("P", 1, "P", (ONE,)),
        "U": ("F", 2, "U", ()),
        "F": ("F", 3, "F", (ONE, TWO)),
        "C": ("C", 4, "C", (ONE,)),
        "late P": ("P", 5, "P", (TWO,)),
        "X": ("X", 6, "X", ()),
        "D": ("C", 7, "D", (ONE,)),
        "W": ("C", 8, "W", (ONE, TWO)),
    }[kind]
    when = f"2026030{day}101500"
    lines = [
        VARIANT.format(name=name, status=obx11, at=at)
        for at, name in zip("ab", names, strict=False)
    ]
    if kind == "U":
        lines = [f"TX|L1^Line^L||||||||{obx11}"]
    return "\r".join([
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||{when}||ORU^R01^ORU_R01|{number}-{order}|P|2.5.1",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"OBR|1||{number}|R208.1^Panel^England-GenomicTestDirectory|||20260210"
        f"|||||||||||||||{when}||GE|{status}",
        *(f"OBX|{at}|{line}" for at, line in enumerate(lines, 1)),
    ]).encode() + b"\r"  # fmt: skip


def _state(desk: Desk, number: str) -> tuple[object, ...]:
    """What a reader of the report finds: its status, and what its results say."""
    (report,) = (
        one for one in desk.resources("DiagnosticReport")
        if one["identifier"][0]["value"] == number
    )  # fmt: skip
    results = {one["reference"].split("/")[1] for one in report.get("result", ())}
    found = [one for one in desk.resources("Observation") if one["id"] in results]
    said = [(one["status"], one["component"][0]["valueCodeableConcept"]["text"]) for one in found]
    return report["status"], *sorted(said)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


FINAL = ("final", ("final", ONE), ("final", TWO))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("P", "U"), ("final", ("final", ONE))),
        (("P", "F", "late P"), FINAL),
        (("P", "U", "F", "C"), ("corrected", ("corrected", ONE))),
        (("P", "F", "C", "W"), ("entered-in-error", ("entered-in-error", ONE),
                                ("entered-in-error", TWO))),
        (("F", "C", "late P", "X"), ("cancelled",)),
        (("U", "P", "X", "D"), ("entered-in-error", ("entered-in-error", ONE))),
    ],
)  # fmt: skip
def test_every_order_of_arrival_ends_in_the_same_state(
    desk: Desk, kinds: tuple[str, ...], expected: tuple[object, ...]
) -> None:
    for at, some in enumerate(itertools.permutations(kinds)):
        for order, kind in enumerate(some):
            desk.accept(_message(kind, f"R-{at}", order))
            desk.work()
        assert (some, _state(desk, f"R-{at}")) == (some, expected)
    states = {row[0] for row in desk.rows("SELECT DISTINCT state FROM part")}
    assert states == {"filed"}


def test_a_withdrawal_waits_for_its_report_and_then_runs_by_itself(desk: Desk) -> None:
    row = desk.send(_message("W", "R-1", 1))
    assert (row["state"], row["reason"]) == ("held", "report-unknown")
    desk.send(_message("F", "R-1", 2))
    assert _state(desk, "R-1")[0] == "entered-in-error"


def test_a_withdrawal_goes_by_the_number_and_not_by_the_patient(desk: Desk) -> None:
    desk.send(_message("F", "R-1", 1))
    row = desk.send(_message("W", "R-1", 2).replace(MORAG[0].encode(), b""))
    assert row["state"] == "filed"
    assert _state(desk, "R-1")[0] == "entered-in-error"


def test_a_bare_promotion_of_nothing_is_held_and_says_so(desk: Desk) -> None:
    row = desk.send(_message("U", "R-1", 1))
    assert (row["state"], row["reason"]) == ("held", "report-unknown")


def test_a_final_report_that_changes_a_final_one_is_an_amendment_in_either_order(
    desk: Desk,
) -> None:
    first = _message("F", "R-1", 1)
    second = _message("F", "R-1", 2).replace(b"2026030310", b"2026030410").replace(
        TWO.encode(), b"NM_007294.4:c.5266dup")  # fmt: skip
    assert second != first
    for number, order in (("R-1", (first, second)), ("R-2", (second, first))):
        for message in order:
            desk.send(message.replace(b"R-1", number.encode()))
        assert _state(desk, number) == (
            "amended", ("final", ONE), ("final", "NM_007294.4:c.5266dup"),
        )  # fmt: skip


def _in_parts(desk: Desk) -> None:
    """Let the sender declare that each message brings only what is new."""
    lri = desk.mappings.by_name["lri"]
    delta = replace(lri, sender=replace(lri.sender, snapshot=False))
    desk.mappings = replace(desk.mappings, by_name={**desk.mappings.by_name, "lri": delta})


def _part(number: str, order: int, day: int, name: str) -> bytes:
    raw = _message("C", number, order).replace(b"2026030410", b"2026030%d10" % day)
    return raw.replace(ONE.encode(), name.encode())


def test_a_report_in_parts_keeps_the_findings_of_its_earlier_parts(desk: Desk) -> None:
    _in_parts(desk)
    desk.send(_part("R-1", 1, 1, ONE))
    desk.send(_part("R-1", 2, 2, TWO))
    assert _state(desk, "R-1") == ("corrected", ("corrected", ONE), ("corrected", TWO))


def test_a_late_part_of_a_report_in_parts_is_held(desk: Desk) -> None:
    _in_parts(desk)
    desk.send(_part("R-1", 1, 2, TWO))
    row = desk.send(_part("R-1", 2, 1, ONE))
    assert (row["state"], row["reason"]) == ("held", "report-order")
    assert _state(desk, "R-1") == ("corrected", ("corrected", TWO))


def test_a_new_analysis_points_to_the_report_that_it_extends(desk: Desk) -> None:
    desk.send(_message("F", "R-1", 1))
    again = b"\r".join(
        line.replace(b"|GE|F", b"|GE|F||||^R-1") if line.startswith(b"OBR") else line
        for line in _message("F", "R-2", 2).split(b"\r")
    )
    assert desk.send(again)["state"] == "filed"
    first, second = desk.resources("DiagnosticReport")
    (extends,) = (
        one["valueReference"] for one in second["extension"] if one["url"].endswith("-extends")
    )
    assert extends["reference"] == f"DiagnosticReport/{first['id']}"
    assert extends["identifier"]["value"] == "R-1"
