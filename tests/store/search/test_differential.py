"""Random resources, random queries: our answer equals that of `naive`, on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.schema import upgrade
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from gateway.store.tables import patient
from tests.store.records import EVERYTHING, NOW, RULES
from tests.store.search.naive import Asked, World, meets

SYSTEMS, CODES = ("urn:a", "urn:b"), ("1", "2", "3")
NAMES = ("Müller", "Mulligan", "muller", "O Neill", "Ó Néill", "Ailsa", "AILSA Morag")
UNITS = ("mg", "g")
NUMBERS = (5, 5.4, 5.40, 5.35, 5.449, 5.45, 4.9, 6, 0.5, 50)
DATES = ("2025", "2025-03", "2025-03-12", "2025-03-12T10:00:00Z", "2024-12-31T23:59:59.5+01:00")
PATIENTS, FINDINGS, REPORTS = 6, 36, 18


def _world(seed: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Invent patients, and observations and reports of each that refer to one another."""
    chance = random.Random(seed)

    def concept() -> dict[str, Any]:
        several = [{"code": chance.choice(CODES)} for _ in range(chance.choice((1, 1, 2)))]
        return {"coding": [
            {**one, "system": chance.choice(SYSTEMS)} if chance.random() < 0.8 else one
            for one in several
        ]}  # fmt: skip

    def value() -> dict[str, Any]:
        amount: dict[str, Any] = {"value": chance.choice(NUMBERS), "unit": chance.choice(UNITS)}
        if chance.random() < 0.6:
            amount |= {"code": chance.choice(UNITS), "system": "urn:units"}
        return chance.choice((
            {"valueCodeableConcept": concept()}, {"valueQuantity": amount},
            {"valueString": chance.choice(NAMES)}, {},
        ))  # fmt: skip

    def when() -> dict[str, Any]:
        some = chance.choice(DATES)
        return chance.choice((
            {"effectiveDateTime": some}, {"effectivePeriod": {"start": some}},
            {"effectivePeriod": {"start": some, "end": "2025-06"}}, {},
        ))  # fmt: skip

    made: dict[tuple[str, str], dict[str, Any]] = {}
    for number in range(PATIENTS):
        name = [{"family": chance.choice(NAMES), "given": chance.sample(NAMES, 2)}]
        made["Patient", f"p{number}"] = {
            "name": name[: chance.choice((0, 1, 1))], "gender": chance.choice(("male", "female")),
            "birthDate": chance.choice(DATES[:3]),
        }  # fmt: skip
    for number in range(FINDINGS):
        owner = number % PATIENTS
        earlier = [f"Observation/o{n}" for n in range(number) if n % PATIENTS == owner]
        made["Observation", f"o{number}"] = {
            "status": chance.choice(("final", "amended")), "code": concept(), **when(), **value(),
            "subject": {"reference": f"Patient/p{owner}"},
            "derivedFrom": [{"reference": one} for one in earlier[-chance.randrange(3) or 99 :]],
            "component": [{"code": concept(), **value()} for _ in range(chance.randrange(4))],
        }  # fmt: skip
    for number in range(REPORTS):
        owner = chance.randrange(PATIENTS)
        mine = [f"Observation/o{n}" for n in range(FINDINGS) if n % PATIENTS == owner]
        made["DiagnosticReport", f"r{number}"] = {
            "status": chance.choice(("final", "amended")), "code": concept(), **when(),
            "subject": {"reference": f"Patient/p{owner}"},
            "result": [{"reference": one} for one in chance.sample(mine, chance.randrange(4))],
        }  # fmt: skip
    return {
        (type_, id_): {"resourceType": type_, "id": id_, **{k: v for k, v in one.items() if v}}
        for (type_, id_), one in made.items()
    }


def _file(connection: Connection, world: World) -> None:
    keys: dict[str, int] = {}
    for number in range(PATIENTS):
        row = insert(patient).values(
            id=f"p{number}", family="", given="", birth_date="", sex="", clock=0, changed_at=0
        )
        keys[f"p{number}"] = connection.execute(row.returning(patient.c.key)).scalar_one()
    save(connection, [
        NewVersion(type_, id_, one, keys[one.get("subject", {}).get("reference", id_)[-2:]])
        for (type_, id_), one in world.items()
    ], NOW)  # fmt: skip


class _Filed(list[tuple[World, Connection]]):
    """Worlds and the databases that hold them; hypothesis shows it in few words."""

    def __repr__(self) -> str:
        return "filed"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[World, Connection]]]:
    """Three worlds, each in a database of its own."""
    opened: list[Any] = []
    made = _Filed()
    for seed in (1, 2, 3):
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('differential') / 'gateway.db'}"
        else:
            url = request.getfixturevalue("postgres_cluster").url(f"differential_{seed}")
        database = Database(url)
        upgrade(database)
        world = _world(seed)
        with database.write() as connection:
            _file(connection, world)
        reading = database.search(600)
        made.append((world, reading.__enter__()))
        opened.append((database, reading))
    yield made
    for database, reading in opened:
        reading.__exit__(None, None, None)
        database.close()


# -- queries --------------------------------------------------------------------------------

_TOKEN = st.one_of(
    st.sampled_from(CODES),
    st.builds("{}|{}".format, st.sampled_from(("", *SYSTEMS)), st.sampled_from(CODES)),
    st.builds("{}|".format, st.sampled_from(SYSTEMS)),
)
_ONE_TOKEN = _TOKEN.filter(lambda text: not text.endswith("|"))
_QUANTITY = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "eq", "ne", "lt", "gt", "le", "ge", "sa", "eb", "ap")),
    st.sampled_from(("5", "5.4", "5.40", "6", "50", "0.5")),
    st.sampled_from(("", "||mg", "|urn:units|mg", "|urn:units|g")),
)
_DATE = st.builds(
    "{}{}".format,
    st.sampled_from(("", "eq", "ne", "lt", "gt", "le", "ge", "sa", "eb", "ap")),
    st.sampled_from(DATES),
)


def _asked(
    names: list[str], kind: str, values: st.SearchStrategy[str], *modifiers: str
) -> st.SearchStrategy[Asked]:
    several = st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)
    drawn = st.tuples(st.sampled_from(names), several, st.sampled_from(["", *modifiers]))
    return drawn.map(lambda one: Asked(*one, kind))


def _missing(names: list[str]) -> st.SearchStrategy[Asked]:
    drawn = st.tuples(st.sampled_from(names), st.sampled_from([("true",), ("false",)]))
    return drawn.map(lambda one: Asked(*one, "missing"))


def _hop(
    name: str, type_: str, backwards: bool, then: st.SearchStrategy[Asked]
) -> st.SearchStrategy[Asked]:
    return then.map(lambda one: Asked(name, type=type_, backwards=backwards, then=one))


_STATUS = _asked(["status"], "token", st.sampled_from(("final", "amended")), "not")
_PERSON = st.one_of(
    _asked(["name", "family", "given"], "string",
           st.sampled_from(("mul", "MÜLL", "Müller", "o n", "ailsa", "lig", "AILSA Morag")),
           "exact", "contains"),
    _asked(["gender"], "token", st.sampled_from(("male", "female")), "not"),
    _asked(["birthdate"], "date", _DATE),
    _missing(["family", "given", "death-date"]),
)  # fmt: skip
_PAIRS = ["code-value-concept", "component-code-value-concept", "combo-code-value-concept"]
_AMOUNTS = ["code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity"]
_FINDING = st.one_of(
    _STATUS,
    _asked(["code", "component-code", "combo-code", "value-concept", "component-value-concept",
            "combo-value-concept"], "token", _TOKEN, "not"),
    _asked(_PAIRS, "composite", st.builds("{}${}".format, _ONE_TOKEN, _ONE_TOKEN)),
    _asked(_AMOUNTS, "composite", st.builds("{}${}".format, _ONE_TOKEN, _QUANTITY)),
    _asked(["value-quantity", "component-value-quantity", "combo-value-quantity"], "quantity",
           _QUANTITY),
    _asked(["value-string"], "string", st.sampled_from(("mul", "Müller", "ne")), "contains"),
    _asked(["date"], "date", _DATE),
    _missing(["value-concept", "component-code", "value-quantity", "derived-from", "date"]),
    _asked(["derived-from"], "reference",
           st.integers(0, FINDINGS - 1).map(lambda n: f"Observation/o{n}")),
)  # fmt: skip
_FINDINGS = st.one_of(
    _FINDING,
    _hop("subject", "Patient", False, _PERSON),
    _hop("derived-from", "Observation", False, _FINDING),
    _hop("derived-from", "Observation", True, _FINDING),
    _hop("result", "DiagnosticReport", True, _STATUS),
    _hop("derived-from", "Observation", True, _hop("result", "DiagnosticReport", True, _STATUS)),
)
_REPORT = st.one_of(
    _STATUS,
    _asked(["code"], "token", _TOKEN, "not"),
    _asked(["date"], "date", _DATE),
    _missing(["date", "result", "issued"]),
    _hop("subject", "Patient", False, _PERSON),
    _hop("result", "Observation", False, _FINDINGS),
)
_PEOPLE = st.one_of(
    _PERSON,
    _hop("subject", "Observation", True, _FINDING),
    _hop("patient", "DiagnosticReport", True, _REPORT),
)
_QUERY = st.one_of(
    st.tuples(st.just("Observation"), st.lists(_FINDINGS, min_size=1, max_size=3)),
    st.tuples(st.just("DiagnosticReport"), st.lists(_REPORT, min_size=1, max_size=3)),
    st.tuples(st.just("Patient"), st.lists(_PEOPLE, min_size=1, max_size=2)),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(query=_QUERY, which=st.integers(0, 2), narrowed=st.booleans())
def test_an_answer_equals_that_of_a_filter_in_python(
    filed: list[tuple[World, Connection]],
    query: tuple[str, list[Asked]],
    which: int,
    narrowed: bool,
) -> None:
    world, connection = filed[which]
    type_, asked = query
    pairs = [one.written() for one in asked]
    expected = {
        one["id"]
        for one in world.values()
        if one["resourceType"] == type_ and all(meets(world, one, each) for each in asked)
    }
    if narrowed and type_ != "Patient":
        pairs.append(("patient", "p1"))
        expected = {i for i in expected if world[type_, i]["subject"]["reference"] == "Patient/p1"}
    page = search(
        connection, EVERYTHING, parse_query(type_, [*pairs, ("_count", "200")], RULES, strict=True)
    )
    assert sorted(one.id for one in page.matches) == sorted(expected)
