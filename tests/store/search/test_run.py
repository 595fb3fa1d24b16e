from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event, insert, update

from gateway.access.scopes import Access
from gateway.errors import Forbidden, InvalidSearch, NotFound, TooCostly
from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.schema import upgrade
from gateway.store.search.extraction import token_hashes, token_literal
from gateway.store.search.parameters import PARAMETERS
from gateway.store.search.query import parse_query
from gateway.store.search.run import Page, search
from gateway.store.tables import patient, resource, token
from tests.store.records import (
    BASE,
    CHI,
    EVERYTHING,
    LAB,
    LOINC,
    NOW,
    OLD_CHI_URI,
    RULES,
    add_patient,
    add_report,
    observation,
    refer,
    report,
    restrict,
    scoped,
)

ALICE, BOB = "0101625707", "0102625707"
DAY = 86_400_000_000


def ask(
    connection: Connection,
    text: str,
    access: Access = EVERYTHING,
    *,
    strict: bool = False,
    type_: str = "DiagnosticReport",
) -> Page:
    pairs = [
        (name, value) for name, _, value in (p.partition("=") for p in text.split("&")) if name
    ]
    return search(connection, access, parse_query(type_, pairs, RULES, strict=strict))


def ids(page: Page) -> list[str]:
    return sorted(match.id for match in page.matches)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A database that no test changes, made once for all of them."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('search') / 'gateway.db'}")
    else:
        database = Database(request.getfixturevalue("postgres_cluster").url("test_search"))
    upgrade(database)
    with database.write() as connection:
        alice = add_patient(connection, "alice", ALICE)
        bob = add_patient(connection, "bob", BOB)
        add_report(connection, "a1", "alice", alice)
        add_report(
            connection,
            "a2",
            "alice",
            alice,
            status="amended",
            now=NOW + DAY,
            effectiveDateTime="2025-06-30T23:30:00Z",
        )
        add_report(connection, "b1", "bob", bob, effectiveDateTime="2024")
    with database.read() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a1", "a2", "b1"]),
        ("patient=Patient/alice", ["a1", "a2"]),
        ("patient=alice", ["a1", "a2"]),
        (f"patient={BASE}/Patient/alice", ["a1", "a2"]),
        ("patient=https://elsewhere.example/fhir/Patient/alice", []),
        ("subject=Patient/alice", ["a1", "a2"]),
        ("subject:Patient=alice", ["a1", "a2"]),
        ("subject=Organization/alice", []),
        ("patient=alice,bob", ["a1", "a2", "b1"]),
        ("patient=alice&patient=bob", []),
        ("patient=nobody", []),
        (f"patient.identifier={CHI}|{ALICE}", ["a1", "a2"]),
        (f"subject:Patient.identifier={CHI}|{ALICE}", ["a1", "a2"]),
        (f"subject.identifier={OLD_CHI_URI}|{BOB}", ["b1"]),
        (f"patient.identifier=urn:example:other|{ALICE}", []),
        (f"patient.identifier={CHI}|{ALICE},{CHI}|{BOB}", ["a1", "a2", "b1"]),
        (f"identifier={LAB}|a1", ["a1"]),
        ("identifier=a1", ["a1"]),
        ("identifier=|a1", []),
        ("identifier=urn:example:other|a1", []),
        ("status=amended", ["a2"]),
        ("status=http://hl7.org/fhir/diagnostic-report-status|amended", ["a2"]),
        ("status=urn:example:other|amended", []),
        ("status=final,amended", ["a1", "a2", "b1"]),
        ("status=final&patient=alice", ["a1"]),
        (f"code={LOINC}|51969-4", ["a1", "a2", "b1"]),
        ("code=none", []),
        ("code=a\\,b", []),
        ("date=2025-03-12", ["a1"]),
        ("date=2025-03", ["a1"]),
        ("date=2025", ["a1", "a2"]),
        ("date=ge2025", ["a1", "a2"]),
        ("date=lt2025", ["b1"]),
        ("date=gt2025-03-12", ["a2"]),
        ("date=le2025-03-12", ["a1", "b1"]),
        ("date=ne2025-03-12", ["a2", "b1"]),
        ("date=sa2025-03-12", ["a2"]),
        ("date=eb2025-03-12", ["b1"]),
        ("date=2025-07-01", ["a2"]),  # half past midnight in Scotland
        ("date=2025-06-30T23:30Z", ["a2"]),
        ("date=2025-07-01T00:30:00+01:00", ["a2"]),
        ("date=2025-07-01T00:30:00 01:00", ["a2"]),
        ("date=ge2025-01&date=lt2025-04", ["a1"]),
        ("_id=a1,b1", ["a1", "b1"]),
        ("_id=not an id", []),
        ("_lastUpdated=gt2025-10-10T08:00:00Z", ["a2"]),
        ("_lastUpdated=2025-10-09T08:53:20.000Z", ["a1", "b1"]),
        ("result=Observation/a1-0", ["a1"]),
        ("result=a1-0,b1-1", ["a1", "b1"]),
        ("result:Observation=b1-0", ["b1"]),
        ("status=", ["a1", "a2", "b1"]),
        ("_format=json", ["a1", "a2", "b1"]),
    ],
)
def test_a_search_finds_exactly_what_was_asked(
    filled: Connection, query: str, expected: list[str]
) -> None:
    assert ids(ask(filled, query, strict=True)) == expected
    assert ask(filled, f"{query}&_summary=count").total == len(expected)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("code:above=1", "code"),
        ("code:missing=perhaps", "code"),
        ("date:not=2025", "date"),
        ("subject:Group=1", "subject"),
        ("date=yesterday", "date"),
        ("date=2025-02-30", "date"),
        ("date=zz2025", "date"),
        ("_lastUpdated=x", "_lastUpdated"),
        ("specimen.colour=1", "specimen"),
        ("_has:Observation:subject:code=1", "_has"),
        ("result.component-code-value-concept=1", "component-code-value-concept"),
        ("result.value-quantity=gtx", "value-quantity"),
        ("result.value-quantity=5|mg", "value-quantity"),
        ("code:in=urn:example:not-held", "code"),
        ("code.text=1", "code"),
        (f"patient.identifier={ALICE}", "patient.identifier"),
        ("patient.colour=x", "patient"),
        ("patient.name= ", "name"),
        ("patient=Spaceship/1", "patient"),
        ("identifier=a|b|c", "identifier"),
        ("_count=many", "_count"),
        ("_sort=result", "_sort"),
        ("_elements=a b", "_elements"),
        ("_cursor=AAAA", "_cursor"),
        ("_cursor=!", "_cursor"),
    ],
)
def test_a_search_that_is_not_supported_is_refused_by_name(
    filled: Connection, query: str, where: str
) -> None:
    with pytest.raises(InvalidSearch) as caught:
        ask(filled, query)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "_has:Observation:x=1",
        "_include=Patient:link",
        "_include=DiagnosticReport:none",
        "_summary=maybe",
        "_include=Observation:specimen",
        "_revinclude=Task:none",
        "_total=maybe",
    ],
)
def test_an_unknown_parameter_is_ignored_and_told_or_refused(
    filled: Connection, query: str
) -> None:
    page = ask(filled, f"{query}&status=amended")
    assert ids(page) == ["a2"]
    assert page.query.ignored == (query.partition("=")[0],)
    assert page.query.pairs == (("status", "amended"),)
    with pytest.raises(InvalidSearch):
        ask(filled, query, strict=True)


def test_a_patient_search_by_identifier_needs_the_system(filled: Connection) -> None:
    assert ids(ask(filled, f"identifier={OLD_CHI_URI}|{ALICE}", type_="Patient")) == ["alice"]
    with pytest.raises(InvalidSearch):
        ask(filled, f"identifier={ALICE}", type_="Patient")


def test_a_type_that_is_not_searchable_or_not_known(filled: Connection) -> None:
    with pytest.raises(NotFound):
        ask(filled, "", type_="Spaceship")
    with pytest.raises(InvalidSearch):
        ask(filled, "_id=1", type_="Binary", strict=True)


def test_too_many_values_are_refused(filled: Connection) -> None:
    with pytest.raises(TooCostly):
        ask(filled, "_id=" + ",".join(["x"] * 500))


def test_nul_characters_are_refused(filled: Connection) -> None:
    with pytest.raises(InvalidSearch):
        ask(filled, "identifier=a\0b")


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("DiagnosticReport:result", ["a1-0", "a1-1"]),
        ("DiagnosticReport:result:Observation", ["a1-0", "a1-1"]),
        ("DiagnosticReport:subject", ["alice"]),
        ("DiagnosticReport:*", ["a1-0", "a1-1", "alice"]),
    ],
)
def test_includes_bring_what_the_matches_refer_to(
    filled: Connection, include: str, expected: list[str]
) -> None:
    page = ask(filled, f"_id=a1&_include={include}", strict=True)
    assert sorted(found.id for found in page.included) == expected
    assert page.total == 1


def test_what_matches_is_not_included_again(filled: Connection) -> None:
    page = ask(filled, "_include=Observation:has-member", type_="Observation")
    assert page.included == ()


def test_an_include_needs_the_scope_of_its_type(filled: Connection) -> None:
    access = scoped("system/DiagnosticReport.rs")
    page = ask(filled, "_id=a1&_include=DiagnosticReport:*", access)
    assert ids(page) == ["a1"]
    assert page.included == ()


def test_a_search_without_the_scope_of_its_type_is_forbidden(filled: Connection) -> None:
    with pytest.raises(Forbidden):
        ask(filled, "", scoped("system/DiagnosticReport.r"))
    with pytest.raises(Forbidden, match="Patient"):
        ask(filled, f"patient.identifier={CHI}|{ALICE}", scoped("system/DiagnosticReport.rs"))


def test_reports_are_found_by_every_number_of_a_merged_patient(database: Database) -> None:
    with database.write() as connection:
        keys = [add_patient(connection, f"p{i}", chi) for i, chi in enumerate((ALICE, BOB))]
        last = add_patient(connection, "p2", "0103625707")
        add_report(connection, "r1", "p0", keys[0])
        for loser, winner in ((keys[0], keys[1]), (keys[1], last)):
            connection.execute(
                update(patient).where(patient.c.key == loser).values(merged_into=winner)
            )
        connection.execute(
            update(resource).where(resource.c.type != "Patient").values(patient_key=last)
        )
        # A corrected version names the merged patient still.
        save(connection, [report("r1", "p0", last, status="amended")], NOW + DAY)
    with database.read() as connection:
        for chi in (ALICE, BOB, "0103625707"):
            assert ids(ask(connection, f"patient.identifier={CHI}|{chi}")) == ["r1"]
        for name in ("p0", "p1", "p2"):
            assert ids(ask(connection, f"patient={name}")) == ["r1"]


def test_a_new_version_is_found_by_its_new_values_only(database: Database) -> None:
    with database.write() as connection:
        key = add_patient(connection, "alice", ALICE)
        save(connection, [report("r1", "alice", key)], NOW)
        save(connection, [report("r1", "alice", key, status="amended")], NOW + DAY)
    with database.read() as connection:
        assert ids(ask(connection, "status=final")) == []
        assert ids(ask(connection, "status=amended")) == ["r1"]
    with database.write() as connection:
        save(connection, [NewVersion("DiagnosticReport", "r1", {}, key, deleted=True)], NOW + DAY)
    with database.read() as connection:
        assert ids(ask(connection, "patient=alice")) == []


def test_a_hash_collision_never_matches(database: Database) -> None:
    literal = token_literal(PARAMETERS["DiagnosticReport"]["identifier"], "r1", LAB)
    with database.write() as connection:
        key = add_patient(connection, "alice", ALICE)
        connection.execute(insert(token).values(hash=token_hashes(literal)[0], literal="another"))
        save(connection, [report("r1", "alice", key)], NOW)
    with database.read() as connection:
        assert ids(ask(connection, f"identifier={LAB}|r1")) == ["r1"]
        assert ids(ask(connection, f"identifier={LAB}|r1&status=final,amended")) == ["r1"]


# -- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sort",
    [
        "",
        "&_sort=date",
        "&_sort=-date",
        "&_sort=_lastUpdated",
        "&_sort=-_lastUpdated",
        "&status=final",
        "&_sort=issued",
        "&_sort=status,-date",
        "&_sort=code,-_lastUpdated,_id",
    ],
)
def test_pages_neither_lose_nor_repeat_while_reports_arrive(database: Database, sort: str) -> None:
    with database.write() as connection:
        key = add_patient(connection, "alice", ALICE)
        for number in range(11):
            dates = {} if number % 4 == 0 else {"effectiveDateTime": f"2025-03-{number % 3 + 1:02}"}
            new = report(f"r{number}", "alice", key)
            content = {n: v for n, v in new.content.items() if n != "effectiveDateTime"} | dates
            save(
                connection,
                [NewVersion(new.type, new.id, content, key)],
                NOW + number // 2 * 1_000_000,
            )
    seen: list[str] = []
    cursor, arrived = "", 0
    while True:
        with database.read() as connection:
            page = ask(connection, f"_count=3{sort}" + (f"&_cursor={cursor}" if cursor else ""))
        seen += [match.id for match in page.matches]
        with database.write() as connection:
            save(connection, [report(f"new{arrived}", "alice", key)], NOW + DAY)
            arrived += 1
        if not (cursor := page.next) or arrived > 20:
            break
    assert len(seen) == len(set(seen))
    assert {name for name in seen if name.startswith("r")} == {f"r{n}" for n in range(11)}


def test_reports_are_sorted_by_date(filled: Connection) -> None:
    rising = [match.id for match in ask(filled, "_sort=date").matches]
    falling = [match.id for match in ask(filled, "_sort=-date").matches]
    assert rising == ["b1", "a1", "a2"]
    assert falling == rising[::-1]


def test_a_cursor_serves_one_query_of_one_caller(filled: Connection) -> None:
    page = ask(filled, "_count=1&patient=alice")
    query = f"_count=1&patient=alice&_cursor={page.next}"
    assert len(ask(filled, query).matches) == 1
    other = Access("another client", EVERYTHING.scopes)
    for text, access in (
        (query, other),
        (query.replace("alice", "bob"), EVERYTHING),
        (query + "A", EVERYTHING),
    ):
        with pytest.raises(InvalidSearch):
            ask(filled, text, access)


def test_the_total_is_told_when_it_is_known_or_asked_for(filled: Connection) -> None:
    assert ask(filled, "").total == 3
    assert ask(filled, "_count=2").total is None
    assert ask(filled, "_count=2&_total=accurate").total == 3
    counted = ask(filled, "_count=0")
    assert (counted.total, counted.matches) == (3, ())


SCANNED = re.compile(r"SCAN (resource|patient|token|index_\w+)(?!.*USING)")

# -- access ---------------------------------------------------------------------------------


def _records(seed: int) -> list[tuple[NewVersion, bool]]:
    """Random records of five patients and, for each, whether it is restricted."""
    chance = random.Random(seed)
    classes = ("nhs", "nhs", "research", "eqa")
    made = []
    for number in range(12):
        owner = number % 5
        made.append(observation(f"o{number}", f"p{owner}", owner + 1, chance.choice(classes)))
    for number in range(25):
        owner = chance.randrange(5)
        mine = [f"Observation/o{n}" for n in range(12) if n % 5 == owner]
        made.append(
            report(
                f"r{number}",
                f"p{owner}",
                owner + 1,
                chance.choice(classes),
                status=chance.choice(("final", "amended")),
                result=refer(*mine),
                effectiveDateTime=f"2025-03-{chance.randrange(1, 28):02}",
            )
        )
    return [(new, chance.random() < 0.2) for new in made]


def _fill(database: Database, seed: int) -> None:
    with database.write() as connection:
        for number in range(5):
            class_ = "research" if number == 4 else "nhs"
            add_patient(connection, f"p{number}", f"{number:010}", class_)
        records = _records(seed)
        save(connection, [new for new, _ in records], NOW)
        restrict(connection, "p3")
        for new, hidden in records:
            if hidden:
                restrict(connection, new.id)


@pytest.mark.parametrize(
    "query",
    [
        "patient=p0",
        f"patient.identifier={CHI}|0000000001",
        "identifier=r3",
        "status=final",
        "_id=r1",
        "result=Observation/o3",
        "patient=p1&status=final,amended&date=ge2025&_sort=-date",
        "",
        "_sort=-_lastUpdated",
        "patient=p0&_lastUpdated=ge2025",
    ],
)
def test_no_search_scans_a_whole_table(database: Database, query: str) -> None:
    _fill(database, 1)
    plans = []

    with database.read() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def note(conn: Connection, cursor: object, sql: str, given: object, *_: object) -> None:
            if sql.startswith(("SELECT", "WITH")):
                plans.append((sql, given))

        ask(connection, f"{query}&_include=DiagnosticReport:result")
        event.remove(connection, "before_cursor_execute", note)
        if not database.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")
        word = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        for sql, given in plans:
            text = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(word + sql, given))
            assert "Seq Scan" not in text
            assert not SCANNED.search(text), text
            if database.is_sqlite and query.startswith("patient") and "index_reference" not in sql:
                assert "ix_resource_patient" in text
