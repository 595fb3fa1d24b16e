"""Patient/$everything and the histories of types: pages, and what a caller may not see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, update

from gateway.access.scopes import Access
from gateway.errors import Forbidden, InvalidSearch, NotFound
from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.search.compartment import everything
from gateway.store.search.history import history_of
from gateway.store.search.page import Page
from gateway.store.tables import patient, resource
from tests.store.records import (
    EVERYTHING,
    NOW,
    RULES,
    add_patient,
    add_report,
    report,
    restrict,
    scoped,
)

DAY = 86_400_000_000


def _fill(connection: Connection) -> tuple[int, int]:
    alice, bob = (add_patient(connection, n, c) for n, c in (("alice", "1"), ("bob", "2")))
    parent = NewVersion("Organization", "parent", {"name": "Trust"}, None)
    lab = {"name": "Lab", "partOf": {"reference": "Organization/parent"}}
    other = NewVersion("Organization", "other", {"name": "Other"}, None)
    save(connection, [parent, NewVersion("Organization", "lab", lab, None), other], NOW)
    add_report(connection, "a1", "alice", alice, performer=[{"reference": "Organization/lab"}])
    add_report(connection, "b1", "bob", bob)
    save(connection, [report("a2", "alice", alice)], NOW + DAY)
    return alice, bob


def _pages(ask: Callable[[str], Page]) -> list[str]:
    seen, cursor = [], ""
    while True:
        page = ask(cursor)
        seen += [f"{one.type}/{one.id}" for one in page.matches]
        if not (cursor := page.next):
            return seen


ALICE = {"Patient/alice", "DiagnosticReport/a1", "Observation/a1-0", "Observation/a1-1",
         "DiagnosticReport/a2", "Organization/lab", "Organization/parent"}  # fmt: skip


def test_everything_is_the_record_and_what_it_leads_to_in_one_statement(
    database: Database,
) -> None:
    with database.write() as connection:
        _fill(connection)
    statements = []
    with database.search() as connection:
        event.listen(connection, "before_cursor_execute", lambda *a: statements.append(a[2]))
        page = everything(connection, EVERYTHING, "alice", RULES)
        assert len(statements) == 1
        assert {f"{one.type}/{one.id}" for one in page.matches} == ALICE
        assert page.total == len(ALICE)
        paged = _pages(
            lambda c: everything(connection, EVERYTHING, "alice", RULES, count=2, cursor=c)
        )
        assert (len(paged), set(paged)) == (len(ALICE), ALICE)
        some = everything(connection, EVERYTHING, "alice", RULES, types=["DiagnosticReport"])
        assert [one.id for one in some.matches] == ["a1", "a2"]
        late = everything(connection, EVERYTHING, "alice", RULES, since=NOW + 1)
        assert [one.id for one in late.matches] == ["a2"]


def test_everything_leaves_out_what_may_not_be_read(database: Database) -> None:
    with database.write() as connection:
        _fill(connection)
        restrict(connection, "a1")
    with database.search() as connection:
        page = everything(connection, EVERYTHING, "alice", RULES)
        # The laboratory is reached over the hidden report only.
        assert {one.id for one in page.matches} == {"alice", "a1-0", "a1-1", "a2"}
        narrow = scoped("system/Patient.r", "system/DiagnosticReport.r")
        page = everything(connection, narrow, "alice", RULES)
        assert {one.id for one in page.matches} == {"alice", "a2"}
        for access, error in (
            (scoped("system/Observation.rs"), Forbidden),
            (scoped("patient/*.rs", patient="bob"), NotFound),
        ):
            with pytest.raises(error):
                everything(connection, access, "alice", RULES)
        with pytest.raises(NotFound):
            everything(connection, EVERYTHING, "nobody", RULES)
        with pytest.raises(NotFound):
            everything(connection, EVERYTHING, "alice", RULES, types=["Spaceship"])


def test_everything_follows_a_merge(database: Database) -> None:
    with database.write() as connection:
        alice, bob = _fill(connection)
        connection.execute(update(patient).where(patient.c.key == bob).values(merged_into=alice))
        moved = update(resource).where(resource.c.patient_key == bob, resource.c.type != "Patient")
        connection.execute(moved.values(patient_key=alice))
    with database.search() as connection:
        page = everything(connection, EVERYTHING, "bob", RULES)
        assert {"bob", "alice", "a1", "b1"} <= {one.id for one in page.matches}


def _history(connection: Connection, access: Access = EVERYTHING, **asked: object) -> list[str]:
    type_ = asked.pop("type_", None)
    page = history_of(connection, access, type_, RULES, **asked)  # type: ignore[arg-type]
    return [f"{one.id}.{one.version}" for one in page.matches]


def test_history_tells_every_version_newest_first(database: Database) -> None:
    with database.write() as connection:
        alice, _ = _fill(connection)
        for day, status in ((2, "amended"), (3, "corrected")):
            save(connection, [report("a2", "alice", alice, status=status)], NOW + day * DAY)
    with database.search() as connection:
        reports = _history(connection, type_="DiagnosticReport")
        assert reports == ["a2.3", "a2.2", "a2.1", "b1.1", "a1.1"]
        every = _history(connection)
        assert every[:4] == ["a2.3", "a2.2", "a2.1", "b1.1"]
        assert len(every) == 14
        assert _history(connection, since=NOW + 2 * DAY) == ["a2.3", "a2.2"]
        at = (NOW + DAY + 1, NOW + 2 * DAY + 1)
        assert _history(connection, type_="DiagnosticReport", at=at) == [
            "a2.2",
            "a2.1",
            "b1.1",
            "a1.1",
        ]
        paged = _pages(lambda c: history_of(connection, EVERYTHING, None, RULES, count=3, cursor=c))
        assert [one.split("/")[1] for one in paged] == [one.split(".")[0] for one in every]
        page = history_of(connection, EVERYTHING, None, RULES, count=3)
        with pytest.raises(InvalidSearch):
            history_of(connection, EVERYTHING, "Patient", RULES, count=3, cursor=page.next)


def test_history_leaves_out_what_may_not_be_read(database: Database) -> None:
    with database.write() as connection:
        alice, _ = _fill(connection)
        save(connection, [report("a2", "alice", alice, status="amended")], NOW + 2 * DAY)
        restrict(connection, "a2")
    with database.search() as connection:
        assert _history(connection, type_="DiagnosticReport") == ["b1.1", "a1.1"]
        mine = scoped("patient/DiagnosticReport.r", patient="bob")
        assert _history(connection, mine) == ["b1.1"]
        with pytest.raises(Forbidden):
            _history(connection, scoped("system/Patient.s"))
        with pytest.raises(NotFound):
            _history(connection, type_="Spaceship")
