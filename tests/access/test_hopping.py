"""One who may see Alice never comes to see Bob: by no road that leads from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway.access.policy import DEFAULT, Caller, access
from gateway.access.scopes import Access
from gateway.errors import Forbidden, NotFound
from gateway.store import resources
from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.search.query import parse_query
from gateway.store.search.run import Page, search
from gateway.store.tables import (
    access_grant,
    file,
    index_reference,
    patient,
    relationship,
    resource,
)
from tests.store.records import (
    CHI,
    EVERYTHING,
    NOW,
    RULES,
    add_patient,
    add_report,
    observation,
    refer,
    restrict,
)

RESULT = 19  # the number of the search parameter DiagnosticReport:result
LAUNCHED = access(
    Caller("app", ("patient/*.rs",), person="ada", roles=("privacy",), patient="alice"), now=NOW
)
RELATED = access(
    Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), boards=("B1",)), now=NOW
)


@pytest.fixture
def filed(sqlite: Database) -> Database:
    """Alice and Bob with a report each; board B1 treats Alice; a forged link leads to Bob."""
    with sqlite.write() as connection:
        alice = add_patient(connection, "alice", "0101625707")
        bob = add_patient(connection, "bob", "0102625707")
        add_report(connection, "a1", "alice", alice)
        add_report(connection, "b1", "bob", bob)
        add_report(connection, "b1", "bob", bob, now=NOW + 1_000_000, status="amended")
        focused = observation("b-focus", "bob", bob, focus=refer("Patient/alice"))
        save(connection, [focused], NOW)
        connection.execute(
            insert(file).values(digest="d" * 64, size=1, media_type="a/b", created_at=0)
        )
        pdf = NewVersion("Binary", "b-pdf", {"contentType": "a/b"}, bob, file_digest="d" * 64)
        save(connection, [pdf], NOW)
        link = insert(index_reference).values(
            source_key=_key(connection, "a1"), parameter=RESULT,
            target_key=_key(connection, "b1-0"),
        )  # fmt: skip
        connection.execute(link)
        connection.execute(insert(relationship).values(
            patient_key=alice, owner=0, meaning="treating", party="B1", since=0, until=2**62,
        ))  # fmt: skip
    return sqlite


def _key(connection: Connection, id_: str) -> int:
    return connection.execute(select(resource.c.key).where(resource.c.id == id_)).scalar_one()


def _ask(database: Database, who: Access, asked: str) -> Page:
    type_, _, query = asked.partition("?")
    with database.read() as connection:
        return search(connection, who, parse_query(type_, parse_qsl(query), RULES, strict=True))


def _names(page: Page) -> set[str]:
    return {one.id for one in (*page.matches, *page.included)}


everyone = pytest.mark.parametrize("who", [LAUNCHED, RELATED], ids=["launched", "related"])


@everyone
def test_an_include_does_not_lead_to_another_patient(filed: Database, who: Access) -> None:
    asked = "DiagnosticReport?_include=DiagnosticReport:*"
    assert _names(_ask(filed, who, asked)) == {"a1", "a1-0", "a1-1", "alice"}
    assert "b1-0" in _names(_ask(filed, EVERYTHING, asked))


@everyone
def test_a_search_by_reference_does_not_tell_of_another_patient(
    filed: Database, who: Access
) -> None:
    asked = "DiagnosticReport?result=Observation/b1-0"
    assert _names(_ask(filed, who, asked)) == set()
    assert _ask(filed, who, f"{asked}&_summary=count").total == 0
    assert _names(_ask(filed, EVERYTHING, asked)) == {"a1", "b1"}


@everyone
@pytest.mark.parametrize("name", ["subject.identifier", "patient.identifier"])
def test_a_chained_identifier_does_not_tell_that_a_patient_is_known(
    filed: Database, who: Access, name: str
) -> None:
    asked = f"DiagnosticReport?{name}={CHI}|"
    assert _names(_ask(filed, who, f"{asked}0102625707")) == set()
    assert _names(_ask(filed, who, f"{asked}0101625707")) == {"a1"}
    assert _names(_ask(filed, EVERYTHING, f"{asked}0102625707")) == {"b1"}


@everyone
@pytest.mark.parametrize(
    ("type_", "id_"),
    [("DiagnosticReport", "b1"), ("Observation", "b1-0"), ("Patient", "bob"), ("Binary", "b-pdf")],
)
def test_what_is_of_another_patient_is_not_found_in_any_version(
    filed: Database, who: Access, type_: str, id_: str
) -> None:
    asking: list[Callable[..., Any]] = [resources.read, resources.history]
    with filed.read() as connection:
        assert resources.read(connection, EVERYTHING, type_, id_).id == id_
        for one in asking:
            with pytest.raises(NotFound):
                one(connection, who, type_, id_)
        for version in ("1", "2"):
            with pytest.raises(NotFound):
                resources.read_version(connection, who, type_, id_, version)


@everyone
def test_a_total_counts_nothing_of_another_patient(filed: Database, who: Access) -> None:
    assert _ask(filed, who, "DiagnosticReport?_summary=count").total == 1
    assert _ask(filed, who, "DiagnosticReport?_total=accurate&_count=1").total == 1
    assert _ask(filed, EVERYTHING, "DiagnosticReport?_summary=count").total == 2


def test_to_be_the_focus_of_a_finding_does_not_make_it_ones_own(filed: Database) -> None:
    assert "b-focus" not in _names(_ask(filed, LAUNCHED, "Observation?"))
    with filed.read() as connection, pytest.raises(NotFound):
        resources.read(connection, LAUNCHED, "Observation", "b-focus")


def test_a_launch_ends_when_its_patient_was_merged(filed: Database) -> None:
    assert _names(_ask(filed, LAUNCHED, "Patient?")) == {"alice"}
    with filed.write() as connection:
        keys = dict(connection.execute(select(patient.c.id, patient.c.key)).all())
        query = update(patient).where(patient.c.id == "alice")
        connection.execute(query.values(merged_into=keys["bob"]))
    assert _names(_ask(filed, LAUNCHED, "Patient?")) == set()


def test_a_patient_scope_without_a_launch_opens_nothing(filed: Database) -> None:
    nobody = access(Caller("app", ("patient/*.rs",), person="ada", roles=("privacy",)), now=NOW)
    with filed.read() as connection, pytest.raises(Forbidden):
        search(connection, nobody, parse_query("Patient", [], RULES))


def test_a_scope_of_some_codes_gives_neither_others_nor_earlier_versions(filed: Database) -> None:
    scopes = ("user/DiagnosticReport.rs?code=http://loinc.org|51969-4",
              "user/Observation.rs?code=53037-8", "user/Patient.rs?code=1")  # fmt: skip
    granular = access(Caller("app", scopes, person="ada", roles=("privacy",)), now=NOW)
    assert _names(_ask(filed, granular, "DiagnosticReport?_include=DiagnosticReport:*")) == {
        "a1", "b1"
    }  # fmt: skip
    assert _names(_ask(filed, granular, "Observation?")) == set()
    assert _names(_ask(filed, granular, "Patient?")) == set()
    with filed.read() as connection:
        found = resources.history(connection, granular, "DiagnosticReport", "b1")
        assert [one.version for one in found] == [2]
        with pytest.raises(NotFound):
            resources.read_version(connection, granular, "DiagnosticReport", "b1", "1")


def test_only_a_grant_that_says_so_opens_what_is_restricted(filed: Database) -> None:
    role = replace(DEFAULT.roles["clinician"], break_glass_restricted=True)
    policy = replace(DEFAULT, roles={"clinician": role})
    who = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",))
    bob = select(patient.c.key).where(patient.c.id == "bob").scalar_subquery()
    for opens in (False, True):
        with filed.write() as connection:
            restrict(connection, "b1")
            connection.execute(insert(access_grant).values(
                grantee="person:ada", patient_key=bob, reason="test", given_at=0,
                expires_at=2 * NOW, restricted=opens,
            ))  # fmt: skip
        found = {
            "unsealed": _names(_ask(filed, policy.access(who, NOW), "DiagnosticReport?")),
            "sealed": _names(_ask(filed, access(who, now=NOW), "DiagnosticReport?")),
        }
        assert found == {"unsealed": {"b1"} if opens else set(), "sealed": set()}
        assert "b1-0" in _names(_ask(filed, access(who, now=NOW), "Observation?"))
