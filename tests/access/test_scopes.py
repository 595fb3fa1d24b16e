from __future__ import annotations

import itertools
import random

import pytest

from gateway.access.access import Constraint, Scope
from gateway.access.scopes import (
    OTHER_SCOPES,
    SEND_HL7,
    covers,
    narrow,
    parse_scope,
    parse_scopes,
)
from gateway.errors import Forbidden
from tests.store.records import access_for

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("system/*.rs", "rs"),
        ("user/Patient.r", "r"),
        ("patient/Patient.cruds", "cruds"),
        ("system/Patient.read", "rs"),
        ("patient/*.*", "cruds"),
        ("user/Patient.write", "cud"),
        (f"patient/Observation.rs?category={LAB}", "rs"),
        ("user/*.r?code=http://loinc.org|69548-6,53037-8&category=GE", "r"),
    ],
)
def test_a_scope_is_read_with_its_letters(text: str, letters: str) -> None:
    scope = parse_scope(text)
    assert scope
    assert scope.letters == letters
    assert scope.text() == text


def test_the_search_of_a_scope_is_read_as_and_of_or() -> None:
    scope = parse_scope(f"patient/Observation.rs?category={LAB},GE&code=http://loinc.org|1-8")
    assert scope == Scope(
        "patient",
        "Observation",
        "rs",
        False,
        (Constraint("category", (LAB, "GE")), Constraint("code", ("http://loinc.org|1-8",))),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "system/Patient",
        "system/Patient.",
        "system/Patient.sr",
        "system/Patient.dus",
        "system/Patient.x",
        "system/Patient.dus.",
        "system/Patient.rs?status=final",
        "system/Patient.rs?category=a&status=final",
        "system/Patient.rs?",
        "system/Patient.rs?category",
        "system/Patient.rs?category=",
        "system/Patient.rs?category=a,",
        "system/Patient.rs?category=a|b|c",
        "system/Patient.rs?category=|b",
        "system/Patient.rs?category=a%20b",
        "system/Patient.rs?category:not=a",
        "system/Patient.rs?category=a?code=b",
        "system/Patient.read?category=a",
        "group/*.rs",
        "system/patient.rs",
        "openid",
        "system/*.rs ",
    ],
)
def test_anything_else_is_no_scope(text: str) -> None:
    assert parse_scope(text) is None
    assert narrow(text.replace(" ", "+"), "system/*.cruds user/*.cruds patient/*.cruds") == ""


@pytest.mark.parametrize(
    ("asked", "allowance", "granted"),
    [
        ("system/DiagnosticReport.r", "system/*.rs", "system/DiagnosticReport.r"),
        (
            "system/*.rs",
            "system/DiagnosticReport.r system/Patient.rs",
            "system/DiagnosticReport.r system/Patient.rs",
        ),
        ("system/*.rs", "system/*.r system/Patient.s", "system/*.r system/Patient.rs"),
        ("system/*.rs", "system/*.rs system/Patient.rs", "system/*.rs"),
        ("system/Patient.rs", "system/Patient.r system/Patient.s", "system/Patient.rs"),
        ("system/*.read", "system/*.cruds", "system/*.read"),
        ("system/*.*", "system/*.rs", "system/*.read"),
        ("system/Patient.read", "system/Patient.r", "system/Patient.r"),
        ("system/Patient.cud", "system/*.rs", ""),
        ("openid system/Patient.r", "system/*.rs", "system/Patient.r"),
        ("openid launch/patient", "openid launch/patient", "openid launch/patient"),
        (SEND_HL7, "system/*.rs", ""),
        (SEND_HL7, SEND_HL7, SEND_HL7),
        ("user/*.rs", "patient/*.rs system/*.rs", ""),
        (
            "patient/*.rs",
            "patient/Observation.rs?category=GE",
            "patient/Observation.rs?category=GE",
        ),
        (
            "patient/Observation.rs?category=GE",
            "patient/*.rs",
            "patient/Observation.rs?category=GE",
        ),
        (
            "patient/Observation.rs?category=GE",
            "patient/Observation.r?code=1",
            "patient/Observation.r?category=GE&code=1",
        ),
        (
            "patient/Observation.rs?category=s|GE,s|LAB",
            "patient/*.rs?category=GE",
            "patient/Observation.rs?category=s|GE,s|LAB&category=GE",
        ),
        (
            "patient/Observation.rs?category=s|GE",
            "patient/*.rs?category=GE",
            "patient/Observation.rs?category=s|GE",
        ),
        ("user/*.read", "user/*.rs?category=GE", "user/*.rs?category=GE"),
    ],
)
def test_what_is_granted_is_what_is_asked_and_allowed(
    asked: str, allowance: str, granted: str
) -> None:
    assert narrow(asked, allowance) == granted


@pytest.mark.parametrize(
    ("wider", "narrower", "does"),
    [
        ("patient/*.rs", "patient/Observation.r", True),
        ("patient/*.rs", "patient/Observation.read", True),
        ("patient/*.r patient/Observation.s", "patient/Observation.rs", True),
        ("patient/*.r", "patient/Observation.rs", False),
        ("patient/Observation.rs", "patient/*.rs", False),
        ("patient/Observation.rs", "user/Observation.rs", False),
        ("patient/Observation.rs?category=a,b", "patient/Observation.rs?category=a", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a,b", False),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=s|a", True),
        ("patient/Observation.rs?category=s|a", "patient/Observation.rs?category=a", False),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a&code=1", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs", False),
        ("openid fhirUser", "openid", True),
        ("openid", "openid offline_access", False),
        ("openid", "system/*.sr", False),
    ],
)
def test_a_refresh_may_ask_for_less_by_meaning_never_for_more(
    wider: str, narrower: str, does: bool
) -> None:
    assert covers(wider, narrower) is does


PIECES = [
    f"{level}/{type_}.{letters}{query}"
    for level, type_, letters, query in itertools.product(
        ("user", "patient"),
        ("*", "Observation", "DiagnosticReport"),
        ("r", "s", "rs"),
        ("", "?category=a", "?category=a,s|b", "?category=s|a&code=1"),
    )
]
ROWS = [
    (type_, frozenset(tokens))
    for type_ in ("Observation", "DiagnosticReport", "Patient")
    for number in range(4)
    for tokens in itertools.combinations(
        [("category", "a"), ("category", "s|a"), ("category", "s|b"), ("code", "1")], number
    )
]


def _grants(texts: str) -> set[tuple[str, str, int]]:
    """Level, letter and number of each row that scopes grant, looked at one by one."""
    return {
        (scope.level, letter, number)
        for scope in parse_scopes(texts.split())[0]
        for number, (type_, tokens) in enumerate(ROWS)
        if scope.type in ("*", type_)
        if all(
            any(
                name == one.parameter and value in (text, text.rpartition("|")[2])
                for name, text in tokens
                for value in one.values
            )
            for one in scope.constraints
        )
        for letter in scope.letters
    }


def test_narrowing_grants_just_what_both_sides_grant() -> None:
    chance = random.Random(1)
    for _ in range(400):
        asked, allowed = (" ".join(chance.sample(PIECES, chance.randrange(1, 5))) for _ in "ab")
        granted = narrow(asked, allowed)
        assert _grants(granted) == _grants(asked) & _grants(allowed)
        assert covers(allowed, granted)
        assert covers(asked, granted)
        if covers(allowed, asked):
            assert _grants(asked) <= _grants(allowed)


def test_every_scope_that_is_not_about_resources_is_known_by_name() -> None:
    assert {"launch", "launch/patient", "openid", "fhirUser", "offline_access", "online_access",
            SEND_HL7} <= OTHER_SCOPES  # fmt: skip
    assert parse_scope("launch/encounter") is None


def test_access_requires_by_type_and_letter() -> None:
    access = access_for("client", ["system/Patient.r", "user/*.cruds", SEND_HL7, "unknown"])
    access.require("Patient", "r")
    access.require_scope(SEND_HL7)
    for type_, letter in (("Patient", "s"), ("Observation", "r")):
        with pytest.raises(Forbidden):
            access.require(type_, letter)
    with pytest.raises(Forbidden):
        access_for("client", ["system/*.cruds"]).require_scope(SEND_HL7)
