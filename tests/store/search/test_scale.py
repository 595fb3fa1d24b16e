"""A hundred thousand reports: no search reads a whole table, each is as many statements as said."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event

from gateway.store.database import Database
from gateway.store.schema import upgrade
from gateway.store.search.compartment import everything
from gateway.store.search.history import history_of
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from tests.store.records import CHI, EVERYTHING, LAB, RULES
from tests.store.search.many import fill

_TABLES = r"(resource|patient|token|index_\w+)\w*"
# SQLite writes SEARCH where it enters an index at a value; a scan of an index reads it whole.
_SCANNED = {"sqlite": re.compile(rf"SCAN {_TABLES}"),
            "postgresql": re.compile(r"Seq Scan on (resource|patient|index_\w+)")}  # fmt: skip
_STEPS_MAX = 1000
_WHO = f"{CHI}|0101625707-7"
_GENE = "48018-6$urn:genes|48018-6-1"
QUERIES = (
    ("DiagnosticReport", "", 1),
    ("DiagnosticReport", "patient=p.copy7", 1),
    ("DiagnosticReport", "patient=p.copy7&status=final&date=ge2015&_sort=-date", 1),
    ("DiagnosticReport", "patient=p.copy7&_include=DiagnosticReport:result", 2),
    ("DiagnosticReport", "patient=p.copy7&result.component-code-value-concept=" + _GENE, 1),
    ("DiagnosticReport", "patient=p.copy7&_lastUpdated=ge2025&issued:missing=true", 1),
    ("DiagnosticReport", f"patient.identifier={_WHO}&code=51969-4", 1),
    ("DiagnosticReport", "subject:Patient.identifier=" + _WHO, 1),
    ("DiagnosticReport", f"identifier={LAB}|r3.copy0", 1),
    ("DiagnosticReport", "status=final", 1),
    ("DiagnosticReport", "status=final,amended", 1),
    ("DiagnosticReport", "status:not=amended", 1),
    ("DiagnosticReport", "date=ge2015", 1),
    ("DiagnosticReport", "result=o1-0.copy9", 1),
    ("DiagnosticReport", "_sort=-_lastUpdated", 1),
    ("DiagnosticReport", "_id=r3.copy9&_include=*&_include:iterate=Observation:subject", 3),
    ("DiagnosticReport", "result.component-code-value-concept=48018-6$urn:genes|none", 1),
    ("DiagnosticReport", "_total=estimate&_count=3", 2),
    ("Observation", "component-code-value-concept=48018-6$urn:genes|none", 1),
    ("Observation", "combo-code-value-quantity=81258-6$gt0.9", 1),
    ("Observation", "_has:DiagnosticReport:result:identifier=r3.copy0", 1),
    ("Patient", "family=nobody", 1),
    ("Patient", "name:exact=Nobody&birthdate=2000", 1),
    ("Patient", f"identifier={_WHO}", 1),
    ("Patient", "_id=p.copy7&_revinclude=DiagnosticReport:subject", 2),
    ("Patient", "_has:Observation:subject:component-code-value-concept=48018-6$none", 1),
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def many(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """5,000 patients of 20 reports, one of which has an observation."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('many') / 'gateway.db'}")
    else:
        database = Database(request.getfixturevalue("postgres_cluster").url("many"))
    upgrade(database)
    fill(database, 5_000, 20, 1)
    with database.search(600) as connection:
        yield connection
    database.close()


def _statements(connection: Connection) -> list[tuple[str, object]]:
    noted: list[tuple[str, object]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def note(conn: Connection, cursor: object, sql: str, given: object, *_: object) -> None:
        noted.append((sql, given))

    return noted


def _steps(connection: Connection) -> list[int]:
    """Note each thousandth step that SQLite makes: a walk over all reports makes two millions."""
    noted: list[int] = []
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(lambda: noted.append(1), 1000)
    return noted


def _plan(connection: Connection, sql: str, given: object) -> str:
    word = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(word + sql, given))  # type: ignore[arg-type]


@pytest.mark.parametrize(("type_", "query", "count"), QUERIES)
def test_no_search_of_many_reports_reads_a_whole_table(
    many: Connection, type_: str, query: str, count: int
) -> None:
    noted = _statements(many)
    steps = _steps(many)
    pairs = [(n, v) for n, _, v in (p.partition("=") for p in query.split("&")) if n]
    search(many, EVERYTHING, parse_query(type_, pairs, RULES, strict=True))
    asked = list(noted)
    assert len(asked) == count
    assert len(steps) < _STEPS_MAX
    for sql, given in asked:
        plan = _plan(many, sql, given)
        assert not _SCANNED[many.dialect.name].search(plan), plan


def test_no_record_or_history_reads_a_whole_table(many: Connection) -> None:
    noted = _statements(many)
    assert len(everything(many, EVERYTHING, "p.copy7", RULES).matches) == 41
    history_of(many, EVERYTHING, "DiagnosticReport", RULES, count=10)
    history_of(many, EVERYTHING, None, RULES, count=10)
    asked = list(noted)
    assert len(asked) == 3
    for sql, given in asked:
        plan = _plan(many, sql, given)
        assert not _SCANNED[many.dialect.name].search(plan), plan
