"""What validation says: faults, warnings, and what could not be checked."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How much a finding weighs; the words of OperationOutcome.issue.severity."""

    ERROR = "error"
    WARNING = "warning"
    UNCHECKED = "information"


class Finding(NamedTuple):
    """One thing said: `path` is FHIRPath-like, `text` holds no value of the resource."""

    severity: Severity
    path: str
    text: str


def error(path: str, text: str) -> Finding:
    """Say that a rule is broken."""
    return Finding(Severity.ERROR, path, text)


def unchecked(path: str, text: str) -> Finding:
    """Say that a rule could not be checked."""
    return Finding(Severity.UNCHECKED, path, f"not checked: {text}")
