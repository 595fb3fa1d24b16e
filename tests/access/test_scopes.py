from __future__ import annotations

import pytest

from gateway.access.scopes import SEND_HL7, access_for, narrow, parse_scope
from gateway.errors import Forbidden


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("system/*.rs", "rs"),
        ("system/Patient.r", "r"),
        ("system/Patient.cruds", "cruds"),
        ("system/Patient.read", "rs"),
        ("system/*.*", "cruds"),
        ("system/Patient.write", "cud"),
    ],
)
def test_a_scope_is_read_with_its_letters(text: str, letters: str) -> None:
    scope = parse_scope(text)
    assert scope
    assert scope.letters == letters
    assert scope.text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "system/Patient",
        "system/Patient.",
        "system/Patient.sr",
        "system/Patient.x",
        "system/Patient.dus.",
        "system/Patient.rs?status=final",
        "system/patient.rs",
        "openid",
        "system/*.rs ",
    ],
)
def test_anything_else_is_no_scope(text: str) -> None:
    assert parse_scope(text) is None


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
        (SEND_HL7, "system/*.rs", ""),
        (SEND_HL7, SEND_HL7, SEND_HL7),
    ],
)
def test_what_is_granted_is_what_is_asked_and_allowed(
    asked: str, allowance: str, granted: str
) -> None:
    assert narrow(asked, allowance) == granted


def test_access_requires_by_type_and_letter() -> None:
    access = access_for("client", ["system/Patient.r", SEND_HL7, "unknown"])
    access.require("Patient", "r")
    access.require_scope(SEND_HL7)
    for type_, letter in (("Patient", "s"), ("Observation", "r")):
        with pytest.raises(Forbidden):
            access.require(type_, letter)
    with pytest.raises(Forbidden):
        access_for("client", ["system/*.cruds"]).require_scope(SEND_HL7)
