"""What filing notes for access: who has to do with a report, whose parts it has, its label."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway import demo
from gateway.access.policy import Caller, Policy, load_policy
from gateway.fhir.composed import Context
from gateway.fhir.conformance import check
from gateway.pipeline.file import Office
from gateway.pipeline.merges import unmerge
from gateway.store.database import Database, now_micros
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from tests.flow.office import Desk
from tests.flow.test_merges import _merge, _result
from tests.flow.test_orders import _order
from tests.store.records import RULES

MORAG, HAMISH = demo._PEOPLE[:2]
TWICE = ("0101336489", *MORAG[1:])
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
LABORATORY, REQUESTER = f"{ODS}|ST999", f"{ODS}|SS999"
POLICY = f"""
[[organisations]]
id = "{LABORATORY}"
board = "LAB-BOARD"
[[organisations]]
id = "{REQUESTER}"
board = "OLD-BOARD"
until = 2018-01-01
[[organisations]]
id = "{REQUESTER}"
board = "NEW-BOARD"
since = 2018-01-01
[postcodes]
EH = "HOME"
[roles.clinician]
relationships = ["requesting", "residence"]
"""


@dataclass
class _Desk(Desk):
    policy: Policy = field(default_factory=Policy)

    def office(self) -> Office:
        made = super().office()
        return Office(
            made.database, made.files, made.mappings, made.settings, made.clock, self.policy
        )

    def sees(self, role: str, board: str, type_: str = "DiagnosticReport", now: int = 0) -> int:
        """How many resources a person of this role and board finds."""
        who = Caller("app", ("user/*.rs",), person="ada", roles=(role,), boards=(board,))
        query = parse_query(type_, [], RULES)
        with self.database.read() as connection:
            page = search(connection, self.policy.access(who, now or now_micros()), query)
        return len(page.matches)


def _desk(database: Database, folder: Path) -> _Desk:
    (folder / "policy.toml").write_text(POLICY)
    opened = _Desk(database, folder, policy=load_policy(folder / "policy.toml"))
    for number, person in enumerate((MORAG, TWICE, HAMISH)):
        assert opened.send(demo._patient(*person, number))["state"] == "filed"
    return opened


@pytest.fixture
def desk(sqlite: Database, tmp_path: Path) -> _Desk:
    return _desk(sqlite, tmp_path)


def test_a_report_is_seen_by_its_laboratory_and_by_who_requested_it(desk: _Desk) -> None:
    assert desk.send(_result("1", "R1", MORAG))["state"] == "filed"
    for type_ in ("DiagnosticReport", "Patient", "Provenance", "Specimen"):
        assert desk.sees("laboratory", "LAB-BOARD", type_) == 1
        assert desk.sees("laboratory", LABORATORY, type_) == 1
        assert desk.sees("clinician", "NEW-BOARD", type_) == 1
        assert desk.sees("clinician", "OLD-BOARD", type_) == 0
        assert desk.sees("clinician", "LAB-BOARD", type_) == 0
        assert desk.sees("laboratory", "NEW-BOARD", type_) == 0
    assert desk.sees("clinician", "NEW-BOARD", "Observation") > 1


def test_every_part_of_a_report_knows_its_report(desk: _Desk) -> None:
    desk.send(_result("1", "R1", MORAG))
    rows = desk.rows("SELECT type, owner FROM resource")
    ((key,),) = desk.rows("SELECT key FROM report")
    shared = {"Patient", "Organization", "Practitioner", "PractitionerRole"}
    assert {row.owner for row in rows if row.type not in shared} == {key}
    assert {row.owner for row in rows if row.type in shared} == {0}


def test_a_correction_of_who_requested_it_takes_the_report_from_the_wrong_team(
    desk: _Desk,
) -> None:
    wrong = _result("1", "R1", MORAG).replace(b"^SS999", b"^SG999")
    desk.send(wrong.replace(b"ORD-R1", b""))
    assert desk.sees("clinician", f"{ODS}|SG999") == 1
    later = _result("2", "R1", MORAG, status="C").replace(b"ORD-R1", b"")
    assert desk.send(later)["state"] == "filed"
    assert (desk.sees("clinician", f"{ODS}|SG999"), desk.sees("clinician", "NEW-BOARD")) == (0, 1)


def test_an_order_is_seen_by_who_placed_it(desk: _Desk) -> None:
    assert desk.send(_order("NW", 9, "SPM|1|SP-1||^Blood"))["state"] == "filed"
    for type_ in ("ServiceRequest", "Specimen", "Provenance", "Patient"):
        assert desk.sees("clinician", "NEW-BOARD", type_) == 1
        assert desk.sees("laboratory", "LAB-BOARD", type_) == 0


def test_the_board_of_residence_follows_the_postcode(desk: _Desk) -> None:
    where = b"1 Invented Street^^Edinburgh^^EH1 1AA"
    there = demo._patient(*MORAG, 7).replace(b"PID|1", b"PID|1", 1)
    fields = there.split(b"\r")
    pid = next(n for n, line in enumerate(fields) if line.startswith(b"PID"))
    cells = fields[pid].split(b"|")
    cells += [b""] * (12 - len(cells))
    cells[11] = where
    fields[pid] = b"|".join(cells)
    desk.send(b"\r".join(fields))
    assert desk.sees("clinician", "HOME", "Patient") == 1
    desk.send(_result("1", "R1", MORAG))
    assert desk.sees("clinician", "HOME") == 1


def test_a_merge_takes_relationships_along_and_its_undo_takes_them_back(
    database: Database, tmp_path: Path
) -> None:
    desk = _desk(database, tmp_path)
    desk.send(_result("1", "R1", TWICE))
    assert desk.send(_merge(MORAG, TWICE[0]))["state"] == "filed"
    assert (
        desk.sees("clinician", "NEW-BOARD"),
        desk.sees("clinician", "NEW-BOARD", "Patient"),
    ) == (1, 1)
    query = "SELECT DISTINCT patient_key FROM relationship"
    (merged,) = desk.rows(query)
    context = Context(received="2026-04-03T09:00:00.000Z", message_id="1")
    ((ended,),) = desk.rows("SELECT subsumed_key FROM patient_merge")
    with database.write() as connection:
        unmerge(connection, ended, context, now_micros(), check)
    (returned,) = desk.rows(query)
    assert (merged[0] != ended, returned[0]) == (True, ended)
    assert desk.sees("clinician", "NEW-BOARD") == 1
