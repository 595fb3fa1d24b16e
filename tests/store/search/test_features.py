"""What a search can do beside its conditions: modifiers, includes, order, totals, limits."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from gateway.errors import Forbidden, InvalidSearch, NotFound, TooCostly
from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.schema import upgrade
from gateway.store.search import including
from gateway.store.search import run as searching
from gateway.store.search.page import Page
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from tests.store.records import (
    EVERYTHING,
    NOW,
    RULES,
    add_patient,
    observation,
    refer,
    report,
    scoped,
)

GENES = {"urn:example:genes": (("urn:genes", "BRCA2"), ("urn:genes", "APC"))}
HELD = replace(RULES, expand=GENES.get)
DAY = 86_400_000_000


def ask(connection: Connection, type_: str, text: str, access: object = EVERYTHING) -> Page:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
    query = parse_query(type_, pairs, HELD, strict=True)
    return search(connection, access, query)  # type: ignore[arg-type]


def ids(page: Page) -> list[str]:
    return [one.id for one in page.matches]


def _variant(id_: str, gene: str, **more: object) -> NewVersion:
    parts = [{
        "code": {"coding": [{"system": "http://loinc.org", "code": "48018-6"}]},
        "valueCodeableConcept": {"coding": [{"system": "urn:genes", "code": gene}]},
    }]  # fmt: skip
    return observation(id_, "alice", 1, component=parts, **more)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('features') / 'gateway.db'}")
    else:
        database = Database(request.getfixturevalue("postgres_cluster").url("features"))
    upgrade(database)
    with database.write() as connection:
        key = add_patient(connection, "alice", "0101625707")
        save(connection, [
            _variant("v1", "BRCA2"),
            _variant("v2", "APC", derivedFrom=refer("Observation/v1")),
            _variant("v3", "TP53", derivedFrom=refer("Observation/v2")),
            _variant("v4", "TP53", derivedFrom=refer("Observation/v3")),
            report("r1", "alice", key, status="final", result=refer("Observation/v1"),
                   meta={"tag": [{"system": "urn:t", "code": "x"}], "profile": ["urn:p"]}),
            report("r2", "alice", key, status="amended", result=refer("Observation/v4")),
            report("r3", "alice", key, status="final", effectiveDateTime="2024",
                   performer=[{"identifier": {"system": "urn:lab", "value": "7"}}]),
            NewVersion("Provenance", "said",
                       {"target": refer("DiagnosticReport/r1", "Patient/alice")}, key),
        ], NOW)  # fmt: skip
    with database.search() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize(
    ("type_", "query", "expected"),
    [
        ("Observation", "component-value-concept:in=urn:example:genes", {"v1", "v2"}),
        ("Observation", "component-value-concept:not-in=urn:example:genes", {"v3", "v4"}),
        ("Observation", "component-code-value-concept=48018-6$urn:genes|BRCA2", {"v1"}),
        ("Observation", "combo-code-value-concept=48018-6$APC,48018-6$TP53", {"v2", "v3", "v4"}),
        ("DiagnosticReport", "result.component-code-value-concept=48018-6$BRCA2", {"r1"}),
        ("DiagnosticReport", "result.derived-from.derived-from.combo-value-concept=APC", {"r2"}),
        ("DiagnosticReport", "performer:identifier=urn:lab|7", {"r3"}),
        ("DiagnosticReport", "_tag=urn:t|x", {"r1"}),
        ("DiagnosticReport", "_tag:not=urn:t|x", {"r2", "r3"}),
        ("DiagnosticReport", "_profile=urn:p", {"r1"}),
        ("DiagnosticReport", "_security:missing=true", {"r1", "r2", "r3"}),
        ("DiagnosticReport", "status=http://hl7.org/fhir/diagnostic-report-status|",
         {"r1", "r2", "r3"}),
        ("Patient", "_has:DiagnosticReport:subject:result.component-value-concept=TP53", {"alice"}),
        ("Patient", "_has:DiagnosticReport:subject:result.component-value-concept=none", set()),
        ("Observation", "_has:Observation:derived-from:_has:DiagnosticReport:result:status=amended",
         {"v3"}),
    ],
)  # fmt: skip
def test_modifiers_and_chains(
    filed: Connection, type_: str, query: str, expected: set[str]
) -> None:
    assert set(ids(ask(filed, type_, query))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_id=r2&_include=DiagnosticReport:result", {"v4"}),
        ("_id=r2&_include=DiagnosticReport:result&_include:iterate=Observation:derived-from",
         {"v4", "v3", "v2", "v1"}),
        ("_id=r1&_include=*", {"v1", "alice"}),
        ("_id=r1&_include=DiagnosticReport:result&_revinclude:iterate=Observation:derived-from",
         {"v1", "v2", "v3", "v4"}),
    ],
)  # fmt: skip
def test_includes_go_on_where_they_are_repeated(
    filed: Connection, query: str, expected: set[str]
) -> None:
    page = ask(filed, "DiagnosticReport", query)
    assert {one.id for one in page.included} == expected
    assert len(page.included) == len(expected)


def test_a_reverse_include_finds_who_refers_to_the_matches(filed: Connection) -> None:
    page = ask(filed, "Patient", "_id=alice&_revinclude=DiagnosticReport:subject")
    assert {one.id for one in page.included} == {"r1", "r2", "r3"}
    page = ask(filed, "Patient", "_id=alice&_revinclude=*")
    assert {one.id for one in page.included} == {"r1", "r2", "r3", "v1", "v2", "v3", "v4", "said"}


def test_too_many_includes_are_cut_and_told(
    filed: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not ask(filed, "Patient", "_revinclude=Observation:subject").capped
    monkeypatch.setattr(including, "INCLUDED_MAX", 2)
    page = ask(filed, "Patient", "_revinclude=Observation:subject")
    assert (len(page.included), page.capped) == (2, True)


def test_a_parameter_that_means_patients_only_includes_no_other_target(filed: Connection) -> None:
    for name, expected in (("patient", {"alice"}), ("target", {"alice", "r1"})):
        page = ask(filed, "Provenance", f"_include=Provenance:{name}")
        assert {one.id for one in page.included} == expected
    assert ids(ask(filed, "Provenance", "patient=alice")) == ["said"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("status,-date,_id", ["r2", "r1", "r3"]),
        ("-_id", ["r3", "r2", "r1"]),
        ("date,-status", ["r3", "r2", "r1"]),
    ],
)
def test_pages_are_in_the_order_of_several_keys(
    filed: Connection, sort: str, expected: list[str]
) -> None:
    if sort.startswith("date"):  # r1 and r2 have one date: final comes after amended
        expected = ["r3", "r1", "r2"]
    assert ids(ask(filed, "DiagnosticReport", f"_sort={sort}")) == expected
    seen, cursor = [], ""
    for _ in expected:
        more = f"&_cursor={cursor}" if cursor else ""
        page = ask(filed, "DiagnosticReport", f"_sort={sort}&_count=1{more}")
        seen += ids(page)
        cursor = page.next
    assert (seen, cursor) == (expected, "")


def test_an_estimated_total_says_so_above_the_bound(
    filed: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask(filed, "Observation", "_count=1&_total=estimate")
    assert (page.total, page.estimated) == (4, False)
    monkeypatch.setattr(searching, "EXACT_MAX", 1)
    page = ask(filed, "Observation", "_count=1&_total=estimate")
    assert page.estimated
    assert page.total in (3, 4, 5)
    page = ask(filed, "Observation", "_count=1&_total=accurate")
    assert (page.total, page.estimated) == (4, False)


def test_what_the_writer_of_the_page_needs_is_in_the_query() -> None:
    pairs = [("_elements", "status,code"), ("_summary", "data"), ("status", ""), ("colour", "1")]
    query = parse_query("DiagnosticReport", pairs, HELD)
    assert (query.elements, query.summary) == (("status", "code"), "data")
    assert query.ignored == ("status", "colour")


def test_a_compartment_is_the_record_of_a_patient(filed: Connection) -> None:
    for id_, expected in (("alice", 3), ("nobody", 0)):
        query = parse_query("DiagnosticReport", [], HELD, compartment=("Patient", id_))
        assert len(search(filed, EVERYTHING, query).matches) == expected
    for type_, of in (("Organization", "Patient"), ("DiagnosticReport", "Encounter")):
        with pytest.raises(NotFound):
            parse_query(type_, [], HELD, compartment=(of, "alice"))


@pytest.mark.parametrize(
    "query",
    ["result.status=final", "_has:Observation:part-of:status=final", "subject:Patient.name=x"],
)
def test_a_condition_on_another_type_needs_its_scope(filed: Connection, query: str) -> None:
    type_ = "Procedure" if "part-of" in query else "DiagnosticReport"
    with pytest.raises(Forbidden):
        ask(filed, type_, query, scoped(f"system/{type_}.rs"))


@pytest.mark.parametrize(
    "query",
    [
        "derived-from." * 6 + "status=final",
        "&".join(["status=final"] * 50),
        "_sort=" + ",".join(["date"] * 9),
        "&".join(["_include=Observation:subject"] * 30),
    ],
)
def test_what_would_cost_too_much_is_refused(filed: Connection, query: str) -> None:
    with pytest.raises(TooCostly):
        ask(filed, "Observation", query)


def test_a_search_that_takes_too_long_is_stopped(sqlite: Database) -> None:
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(TooCostly), sqlite.search(0.05) as connection:
        connection.exec_driver_sql(slow)
    with sqlite.search() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_search_that_takes_too_long_is_stopped_by_postgresql(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.database.SEARCH_SECONDS", 0.1)
    database = Database(request.getfixturevalue("postgres_cluster").url("too_long"))
    with pytest.raises(TooCostly), database.search() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(30)")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT pg_sleep(0.2), 1").one()[1] == 1
    database.close()


def test_a_cursor_shows_nothing_of_what_was_sorted_by(filed: Connection) -> None:
    page = ask(filed, "DiagnosticReport", "_sort=status&_count=1")

    assert b"amended" not in base64.urlsafe_b64decode(page.next)
    with pytest.raises(InvalidSearch):
        ask(filed, "DiagnosticReport", f"_sort=-status&_count=1&_cursor={page.next}")
