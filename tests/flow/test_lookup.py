"""Another index is asked where ours does not know: over MLLP and over FHIR, up and down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import demo
from gateway.config import Settings
from gateway.lookup import open_lookup
from gateway.pipeline.file import Office
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk
from tests.flow.other_index import Index, other_index

ISLA = ("0101336489", "Brodie^Isla", "19330101", "F")
KNOWN = {ISLA[0]: ("Brodie", "Isla", "1933-01-01")}


class _Desk(Desk):
    def office(self) -> Office:
        made = super().office()
        if not hasattr(self, "lookup"):
            self.lookup = open_lookup(self.settings, self.mappings.standard, now_micros)
        return replace(made, lookup=self.lookup)


@pytest.fixture(params=["mllp", "http", "match"])
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    with other_index("http" if request.param == "match" else request.param) as served:
        yield served


@pytest.fixture
def desk(index: Index, sqlite: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    settings = Settings(lookup=index.url, lookup_match="match" in request.node.name,
                        lookup_seconds=5, retry_seconds=0.01)  # fmt: skip
    return _Desk(sqlite, tmp_path, settings=settings)


def test_a_patient_that_is_found_there_is_added_and_the_report_filed(
    desk: Desk, index: Index
) -> None:
    index.people |= KNOWN
    assert desk.send(demo._negative("C1", "R-1", ISLA))["state"] == "filed"
    (row,) = desk.rows("SELECT family, source FROM patient")
    assert tuple(row) == ("Brodie", "lookup")
    assert desk.send(demo._negative("C2", "R-2", ISLA))["state"] == "filed"
    assert index.asked == [ISLA[0]]  # now ours knows


def test_who_is_not_found_is_held_and_asked_for_again_the_next_time(
    desk: Desk, index: Index
) -> None:
    assert desk.send(demo._negative("C1", "R-1", ISLA))["reason"] == "patient-unknown"
    index.people |= KNOWN
    assert desk.send(demo._negative("C2", "R-2", ISLA))["state"] == "filed"


def test_a_lookup_that_fails_lets_the_report_wait_and_never_holds_it(
    desk: Desk, index: Index
) -> None:
    index.people |= KNOWN
    index.up = False
    desk.accept(demo._negative("C1", "R-1", ISLA))
    for _ in range(2):
        desk.work_once()
    (part,) = desk.rows("SELECT state, reason FROM part")
    assert tuple(part) == ("waiting", "lookup")
    index.up = True
    desk.work_until("filed")


def test_what_the_other_index_knows_better_replaces_what_ours_has(desk: Desk, index: Index) -> None:
    desk.send(demo._patient(ISLA[0], "Reid^Isla", ISLA[2], "F", 1))
    index.people |= KNOWN
    assert desk.send(demo._negative("C1", "R-1", ISLA))["state"] == "filed"
    assert desk.resources("Patient")[0]["name"][0]["family"] == "Brodie"


def test_somebody_else_who_is_found_under_the_number_does_not_get_the_report(
    desk: Desk, index: Index
) -> None:
    index.people[ISLA[0]] = ("Firth", "Ewan", "1951-05-05")
    assert desk.send(demo._negative("C1", "R-1", ISLA))["reason"] == "patient-mismatch"
    assert desk.rows("SELECT 1 FROM patient") == []
