"""For random data, callers and queries, the answer equals that of an all-seeing caller on a
database that holds only what a naive rule says is readable.

The rule below is written from the policy's text and shares nothing with the guard: lists and
loops, one row at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from gateway.access.policy import Caller, Policy, load_policy
from gateway.access.scopes import Access, Right, parse_scopes
from gateway.errors import Forbidden, NotFound
from gateway.store import resources
from gateway.store.database import Database
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from gateway.store.tables import (
    index_date,
    index_pair,
    index_quantity,
    index_reference,
    index_string,
    index_token,
    resource,
    resource_version,
)
from tests.access.worlds import AT, Version, Wanted, World, make_caller, make_world
from tests.store.records import CHI, NOW, RULES

POLICY = """
[roles.clinician]
relationships = ["requesting", "treating"]
confidentiality = "R"
break_glass_minutes = 30
break_glass_restricted = true
[roles.laboratory]
relationships = ["laboratory"]
record_classes = ["nhs", "research"]
confidentiality = "V"
purposes = ["TREAT", "HOPERAT"]
[roles.privacy]
everybody = true
restricted = true
confidentiality = "V"
purposes = ["TREAT", "HCOMPL"]
[clients.narrow]
boards = ["B2"]
relationships = ["laboratory", "residence"]
record_classes = ["nhs", "eqa"]
confidentiality = "N"
[boards]
B1 = ["B0"]
"""
EVERYTHING = Access(
    "client", parse_scopes(["system/*.cruds"])[0],
    rights=(Right(("nhs", "research", "eqa"), restricted=True),),
)  # fmt: skip


# -- the naive rule -------------------------------------------------------------------------


def _may(world: World, who: Caller, wanted: tuple[Wanted, ...], letter: str, it: Version,
         old: bool = False) -> bool:  # fmt: skip
    return _scope_says(world, who, wanted, letter, it, old) and _policy_says(world, who, it)


def _scope_says(world: World, who: Caller, wanted: tuple[Wanted, ...], letter: str, it: Version,
                old: bool) -> bool:  # fmt: skip
    for one in wanted:
        if (one.level == "system") == bool(who.person) or letter not in one.letters:
            continue
        if one.type not in ("*", it.type):
            continue
        if one.level == "patient":
            launched = who.patient and who.patient not in world.merged
            if not who.patient or not (
                it.patient == "" or (launched and it.patient == who.patient)
            ):
                continue
        met = [
            any(name == parameter and code == its_code and system in ("", its_system)
                for name, its_system, its_code in it.tokens for system, code in pairs)
            for parameter, pairs in one.narrowed
        ]  # fmt: skip
        if all(met) and not (old and one.narrowed):
            return True
    return False


def _policy_says(world: World, who: Caller, it: Version) -> bool:
    parties = {*who.boards, *who.teams} | ({"B0"} if "B1" in who.boards else set())
    if not who.person:
        return who.purpose == "TREAT" and _client_says(world, who, it, parties)
    for role in who.roles:
        if role == "privacy" and who.purpose in ("TREAT", "HCOMPL"):
            seen = it.record_class == "nhs"
        elif role == "clinician" and who.purpose == "TREAT":
            fits = it.record_class == "nhs" and it.label in ("N", "R")
            related = ("requesting", "treating")
            seen = fits and _reached(world, who, it, parties, related, unsealed=True)
        elif role == "laboratory" and who.purpose in ("TREAT", "HOPERAT"):
            fits = it.record_class in ("nhs", "research")
            seen = fits and _reached(world, who, it, parties, ("laboratory",))
        else:
            seen = False
        if seen:
            return True
    return False


def _client_says(world: World, who: Caller, it: Version, parties: set[str]) -> bool:
    if who.client == "narrow":
        fits = it.record_class in ("nhs", "eqa") and it.label == "N"
        meanings: tuple[str, ...] = ("laboratory", "residence")
        return fits and _reached(world, who, it, parties | {"B2"}, meanings)
    if it.record_class != "nhs":
        return False
    if who.boards:
        meanings = ("residence", "requesting", "treating", "laboratory")
        return _reached(world, who, it, parties, meanings)
    return not it.restricted


def _reached(world: World, who: Caller, it: Version, parties: set[str], meanings: tuple[str, ...],
             unsealed: bool = False) -> bool:  # fmt: skip
    grantees = {f"person:{who.person}", *(f"team:{one}" for one in who.teams)}
    if not who.person:
        grantees = {f"client:{who.client}"}
    open_to = it.patient == ""
    for whose, name, meaning, party, begin, end in world.relations:
        about = name in ("", it.report) or it.type == "Patient"
        if whose == it.patient and about and begin <= AT < end:
            open_to = open_to or (meaning in meanings and party in parties)
    for grantee, whose, name, begin, end, opens in world.grants:
        about = name in ("", it.report) or it.type == "Patient"
        if whose == it.patient and about and begin <= AT < end and grantee in grantees:
            open_to = True
            if opens and unsealed:
                return True
    return open_to and not it.restricted


# -- queries --------------------------------------------------------------------------------

SEARCHES = (
    "DiagnosticReport?",
    "DiagnosticReport?patient=p0&_include=DiagnosticReport:*",
    "DiagnosticReport?patient=p3&_sort=date",
    f"DiagnosticReport?patient.identifier={CHI}|0000000000",
    f"DiagnosticReport?subject.identifier={CHI}|0000000003,{CHI}|0000000001",
    "DiagnosticReport?status=final&_include=DiagnosticReport:result",
    "DiagnosticReport?result=Observation/r1-0,Observation/r2-0",
    "DiagnosticReport?performer=Organization/lab&_sort=-date",
    "DiagnosticReport?_sort=_lastUpdated&status=final,amended",
    "Observation?code=69548-6",
    "Observation?category=GE&code=53037-8",
    f"Observation?patient.identifier={CHI}|0000000002",
    f"Patient?identifier={CHI}|0000000000,{CHI}|0000000001",
    "Provenance?_include=Provenance:target",
    "Organization?_id=lab",
    "DiagnosticReport?result.code=69548-6",
    "DiagnosticReport?status:not=final&_include=*&_include:iterate=Observation:subject",
    f"DiagnosticReport?subject:Patient.identifier={CHI}|0000000001",
    "DiagnosticReport?_revinclude=Provenance:target&_revinclude:iterate=DiagnosticReport:subject",
    "Observation?_has:DiagnosticReport:result:status=final",
    "Observation?_has:DiagnosticReport:result:_has:Provenance:target:recorded:missing=true",
    "Observation?_revinclude=DiagnosticReport:result&_sort=_id",
    "Patient?_has:DiagnosticReport:subject:result.code=69548-6",
    "Patient?_revinclude=Observation:subject",
)


def _found(connection: Connection, access: Access, asked: str, count: int) -> Any:
    """Every page of a search, with its includes, and the total."""
    type_, _, query = asked.partition("?")
    pairs = parse_qsl(query)
    pages, cursor = [], ""
    try:
        total = search(connection, access, parse_query(type_, [*pairs, ("_summary", "count")],
                                                       RULES)).total  # fmt: skip
        while cursor or not pages:
            more = [("_count", str(count)), ("_cursor", cursor)]
            page = search(connection, access, parse_query(type_, [*pairs, *more], RULES))
            included = sorted(one.id for one in page.included)
            pages.append(([one.id for one in page.matches], included))
            cursor = page.next
    except Forbidden:
        return 0, [([], [])]
    return total, pages


def _read(connection: Connection, access: Access, type_: str, id_: str) -> Any:
    """The newest version, each version by number, and the history."""
    answers: list[Any] = []
    asking: list[Callable[[], Any]] = [
        lambda: resources.read(connection, access, type_, id_).body,
        lambda: resources.read_version(connection, access, type_, id_, "1").body,
        lambda: resources.read_version(connection, access, type_, id_, "2").body,
        lambda: [one.body for one in resources.history(connection, access, type_, id_)],
    ]
    for one in asking:
        try:
            answers.append(one())
        except (Forbidden, NotFound):
            answers.append(None)
    return answers


@contextmanager
def _only(connection: Connection, seen: set[tuple[str, str]],
          seen_old: set[tuple[str, str, int]]) -> Iterator[None]:  # fmt: skip
    """Have for a while only these rows in the database."""
    saved = connection.begin_nested()
    rows = connection.execute(resource.select()).all()
    gone = [row.key for row in rows if (row.type, row.id) not in seen]
    names = {row.key: (row.type, row.id) for row in rows}
    for row in connection.execute(resource_version.select()).all():
        if (*names[row.resource_key], row.version) not in seen_old:
            these = (resource_version.c.resource_key == row.resource_key,
                     resource_version.c.version == row.version)  # fmt: skip
            connection.execute(delete(resource_version).where(*these))
    for column in (index_token.c.resource_key, index_date.c.resource_key,
                   index_string.c.resource_key, index_pair.c.resource_key,
                   index_quantity.c.resource_key,
                   index_reference.c.source_key, index_reference.c.target_key,
                   resource_version.c.resource_key, resource.c.key):  # fmt: skip
        connection.execute(delete(column.table).where(column.in_(gone)))
    yield
    saved.rollback()


def _check(connection: Connection, chance: random.Random, world: World, policy: Policy, who: Caller,
           wanted: tuple[Wanted, ...], count: int) -> int:  # fmt: skip
    access = policy.access(who, NOW).at(AT)
    counted = 0
    for letter in "rs":
        if letter == "s":
            asks = {one: partial(_found, asked=one, count=count)
                    for one in chance.sample(SEARCHES, 6)}  # fmt: skip
        else:
            asks = {"/".join(one): partial(_read, type_=one[0], id_=one[1])
                    for one in chance.sample(sorted(world.newest), 10)}  # fmt: skip
        answers = {name: ask(connection, access) for name, ask in asks.items()}
        seen = {p for p, one in world.newest.items() if _may(world, who, wanted, letter, one)}
        seen_old = {(one.type, one.id, one.number) for one in world.older
                    if (one.type, one.id) in seen
                    and _may(world, who, wanted, letter, one, old=True)}  # fmt: skip
        with _only(connection, seen, seen_old):
            expected = {name: ask(connection, EVERYTHING) for name, ask in asks.items()}
        assert answers == expected, (letter, who)
        counted += len(seen)
    return counted


class _Rolled(Exception):
    """Ends a transaction that must leave nothing behind."""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "policy.toml").write_text(POLICY)
    return load_policy(tmp_path / "policy.toml")


def test_an_answer_equals_that_of_a_database_with_only_the_readable_rows(
    database: Database, policy: Policy
) -> None:
    counts = []

    @settings(
        max_examples=10 if database.is_sqlite else 4, deadline=None, derandomize=True,
        database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(2**31, 2**32), st.integers(1, 4))
    def compare(seed: int, count: int) -> None:
        chance = random.Random(seed)
        with suppress(_Rolled), database.write() as connection:
            world = make_world(connection, chance)
            for _ in range(6):
                who, wanted = make_caller(chance)
                counts.append(_check(connection, chance, world, policy, who, wanted, count))
            raise _Rolled

    compare()
    # Neither nobody nor everybody sees everything: else it would prove nothing.
    assert sum(1 for one in counts if one) > len(counts) / 4
    assert len(set(counts)) > 6
