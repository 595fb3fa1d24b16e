from __future__ import annotations

import pytest

from gateway.errors import GatewayError, InvalidRequest, MissingField, NotConformant, NotFound
from gateway.fhir.conformance import Checker, Problem
from gateway.fhir.outcome import findings, outcome


@pytest.mark.parametrize(
    ("error", "code", "place"),
    [
        (MissingField(where="PID-3.1"), "required", {"location": ["PID-3.1"]}),
        (InvalidRequest(where="_count"), "invalid", {"location": ["_count"]}),
        (
            NotConformant(where="Observation.component[2].code"),
            "invariant",
            {"expression": ["Observation.component[2].code"]},
        ),
        (NotFound(), "not-found", {}),
    ],
)
def test_an_error_says_what_and_where(
    error: GatewayError, code: str, place: dict[str, list[str]]
) -> None:
    written = outcome([error])
    (issue,) = written["issue"]
    assert issue == {
        "severity": "error",
        "code": code,
        "details": {"text": error.text},
        **place,
    }
    assert Checker().problems(written) == []


def test_nothing_wrong_is_said_so() -> None:
    written = findings([])
    assert written["issue"][0]["severity"] == "information"
    assert Checker().problems(written) == []


def test_problems_become_issues() -> None:
    (issue,) = findings([Problem("Patient.gender", "is not a valid code")])["issue"]
    assert issue["expression"] == ["Patient.gender"]
