"""The predicate stays an index look-up, whoever asks."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from sqlalchemy import Connection, event

from gateway.access.policy import Caller, access
from gateway.access.scopes import Access
from gateway.errors import NotFound
from gateway.store import resources
from gateway.store.database import Database
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from tests.store.records import NOW, RULES, add_patient, add_report

_SCANNED = re.compile(
    r"SCAN (resource|patient|launched|token|relationship|access_grant|index_\w+)(?!.*USING)"
)
_WHO = {
    "a backend client": Caller("backend", ("system/*.rs",)),
    "a client of a board": Caller("backend", ("system/*.rs",), boards=("B1",)),
    "a clinician": Caller("app", ("user/*.rs",), "ada", roles=("clinician", "laboratory"),
                          boards=("B1", "B2"), teams=("T1",)),
    "a launch": Caller("app", ("patient/*.rs",), "ada", roles=("clinician",), patient="p1"),
    "a narrow scope": Caller("app", ("user/*.rs?category=GE&code=1,2",), "ada",
                             roles=("clinician",), boards=("B1",)),
}  # fmt: skip


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as connection:
        for number in range(20):
            key = add_patient(connection, f"p{number}", f"{number:010}")
            add_report(connection, f"r{number}", f"p{number}", key)
    return database


def _do(connection: Connection, who: Access) -> None:
    for type_, id_ in (("DiagnosticReport", "r1"), ("Patient", "p1")):
        for read in (resources.read, resources.history):
            with suppress(NotFound):
                read(connection, who, type_, id_)
    query = [("patient", "p1"), ("_include", "DiagnosticReport:*")]
    search(connection, who, parse_query("DiagnosticReport", query, RULES))


@pytest.mark.parametrize("name", _WHO)
def test_reads_and_patient_searches_scan_no_table(filled: Database, name: str) -> None:
    plans = []
    with filled.read() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def note(conn: Connection, cursor: object, sql: str, given: object, *_: object) -> None:
            if sql.startswith(("SELECT", "WITH")):
                plans.append((sql, given))

        _do(connection, access(_WHO[name], now=NOW))
        event.remove(connection, "before_cursor_execute", note)
        if not filled.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")
        word = "EXPLAIN QUERY PLAN " if filled.is_sqlite else "EXPLAIN "
        for sql, given in plans:
            text = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(word + sql, given))
            assert "Seq Scan" not in text
            assert not _SCANNED.search(text), text
            assert filled.is_sqlite or "hashed SubPlan" not in text, text
    assert len(plans) >= 3
