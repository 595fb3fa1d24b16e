"""The only place that writes an OperationOutcome (R4 operationoutcome)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.errors import GatewayError
from gateway.fhir import terms
from gateway.fhir.conformance.finding import Finding, Severity
from gateway.fhir.conformance.problem import Problem
from gateway.fhir.terms import Json

_CODES = {
    Severity.ERROR: "invariant", Severity.WARNING: "invariant",
    Severity.UNCHECKED: "informational",
}  # fmt: skip
_EXPRESSION = re.compile(r"[A-Z][A-Za-z]+(?:\.[a-z]\w*(?:\[\d+\])*)+").fullmatch


def outcome(errors: Iterable[GatewayError], *, severity: str = "error") -> Json:
    """Write errors as issues; without any, say that all is well.

    A FHIRPath place goes to `expression`, any other (an HL7 path, a parameter) to `location`.
    """
    return _outcome(_issue(severity, error.issue, error.text, error.where) for error in errors)


def findings(problems: Iterable[Problem]) -> Json:
    """Write what `Checker.problems` found, as `$validate` answers."""
    return _outcome(_issue("error", "invariant", text, path) for path, text in problems)


def validation(found: Iterable[Finding]) -> Json:
    """Write what a `Validator` found, as `$validate` answers."""
    return _outcome(_issue(one.severity, _CODES[one.severity], one.text, one.path) for one in found)


def _outcome(issues: Iterable[Json]) -> Json:
    listed = list(issues) or [_issue("information", "informational", "No problems found", "")]
    return {"resourceType": "OperationOutcome", "issue": listed}


def _issue(severity: str, code: str, text: str, where: str) -> Json:
    place = "expression" if _EXPRESSION(where) else "location"
    return terms.put(
        {"severity": severity, "code": code, "details": {"text": text}},
        {place: [where] if where else None},
    )
