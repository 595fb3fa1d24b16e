"""Extraction against fhirpathpy running the expressions of the R4 search parameters."""

from __future__ import annotations

from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from gateway.errors import InvalidValue
from gateway.store.dates import LAST, instant_text, interval
from gateway.store.extraction import at, values
from gateway.store.parameters import PARAMETERS, Kind, Parameter

_NUMBERS = "DocumentReference.masterIdentifier | DocumentReference.identifier"
# The published expression of each parameter that is not simply Type.path, and its R4 type form.
EXPRESSIONS = {
    "DiagnosticReport.date": "DiagnosticReport.effective",
    "Observation.date": "Observation.effective",
    "Procedure.date": "Procedure.performed",
    "Specimen.collected": "Specimen.collection.collected",
    "Specimen.accession": "Specimen.accessionIdentifier",
    "DiagnosticReport.based-on": "DiagnosticReport.basedOn",
    "Procedure.based-on": "Procedure.basedOn",
    "Task.based-on": "Task.basedOn",
    "Task.authored-on": "Task.authoredOn",
    "Task.patient": "Task.for",
    "ServiceRequest.authored": "ServiceRequest.authoredOn",
    "Observation.derived-from": "Observation.derivedFrom",
    "Observation.has-member": "Observation.hasMember",
    "Patient.birthdate": "Patient.birthDate",
    "DocumentReference.identifier": _NUMBERS,
    "DocumentReference.security-label": "DocumentReference.securityLabel",
    "DocumentReference.related": "DocumentReference.context.related",
    "DocumentReference.relatesto": "DocumentReference.relatesTo.target",
}
CODE = {"coding": [{"system": "urn:s", "code": "1"}, {"code": "2"}], "text": "words"}
IDENTIFIERS = [{"system": "urn:s", "value": "1"}, {"value": "2"}]
PATIENT = {"reference": "Patient/p"}
RESOURCES: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Patient",
        "identifier": IDENTIFIERS,
        "birthDate": "1962-01",
        "gender": "female",
    },
    {
        "resourceType": "DiagnosticReport",
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "status": "final",
        "code": CODE,
        "category": [CODE, CODE],
        "issued": "2025-01-01T10:00:00Z",
        "effectivePeriod": {"start": "2025", "end": "2025-06"},
        "basedOn": [{"reference": "ServiceRequest/s"}, {"display": "words"}],
        "specimen": [{"reference": "Specimen/s"}],
        "performer": [{"reference": "Organization/o"}],
        "result": [{"reference": "Observation/a"}, {"reference": "Observation/b"}],
    },
    {
        "resourceType": "Observation",
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "status": "final",
        "code": CODE,
        "category": [CODE],
        "effectiveDateTime": "2025-03-12",
        "derivedFrom": [{"reference": "Observation/a"}],
        "specimen": {"reference": "Specimen/s"},
        "hasMember": [{"reference": "Observation/b"}],
    },
    {
        "resourceType": "ServiceRequest",
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "status": "active",
        "code": CODE,
        "authoredOn": "2025-03",
        "specimen": [{"reference": "Specimen/s"}],
        "requester": {"reference": "Practitioner/p"},
    },
    {
        "resourceType": "Specimen",
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "type": CODE,
        "status": "available",
        "accessionIdentifier": IDENTIFIERS[0],
        "collection": {"collectedDateTime": "2025-03-12T10:00:00+01:00"},
    },
    {
        "resourceType": "Procedure",
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "code": CODE,
        "status": "completed",
        "performedDateTime": "2025",
        "basedOn": [{"reference": "ServiceRequest/s"}],
    },
    {
        "resourceType": "Task",
        "identifier": IDENTIFIERS,
        "for": PATIENT,
        "code": CODE,
        "status": "requested",
        "authoredOn": "2025-03-12",
        "focus": {"reference": "DiagnosticReport/r"},
        "basedOn": [{"reference": "ServiceRequest/s"}],
    },
    {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:s", "value": "0"},
        "identifier": IDENTIFIERS,
        "subject": PATIENT,
        "status": "current",
        "type": CODE,
        "securityLabel": [CODE],
        "date": "2025-03-12T10:00:00Z",
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d"}}],
        "context": {"related": [{"reference": "DiagnosticReport/r"}]},
    },
    {
        "resourceType": "Provenance",
        "target": [{"reference": "DiagnosticReport/r"}],
        "recorded": "2025-03-12T10:00:00.123Z",
    },
    {"resourceType": "Organization", "identifier": IDENTIFIERS},
    {"resourceType": "Practitioner", "identifier": IDENTIFIERS},
    {
        "resourceType": "PractitionerRole",
        "identifier": IDENTIFIERS,
        "practitioner": {"reference": "Practitioner/p"},
        "organization": {"reference": "Organization/o"},
    },
)
CASES = [
    (resource, parameter)
    for resource in RESOURCES
    for parameter in PARAMETERS[resource["resourceType"]].values()
]


def test_every_type_with_parameters_has_a_case() -> None:
    assert {resource["resourceType"] for resource in RESOURCES} == PARAMETERS.keys()


@pytest.mark.parametrize(
    ("resource", "parameter"), CASES, ids=[f"{p.type}.{p.name}" for _, p in CASES]
)
def test_extraction_agrees_with_the_published_expression(
    resource: dict[str, Any], parameter: Parameter
) -> None:
    name = f"{parameter.type}.{parameter.name}"
    expression = EXPRESSIONS.get(name, f"{parameter.type}.{parameter.paths[0]}")
    expected = fhirpathpy.evaluate(resource, expression, model=models["r4"])
    found = [value for path in parameter.paths for value in at(resource, path)]
    assert found == expected
    assert found
    made = values(parameter.type, resource)
    rows: dict[Kind, list[Any]] = {
        Kind.TOKEN: [t for t in made.tokens if t.startswith(f"{parameter.number}\x1f")],
        Kind.REFERENCE: [r for r in made.references if r[0] == parameter.number],
        Kind.DATE: [d for d in made.dates if d[0] == parameter.number],
    }
    assert rows[parameter.kind]


def test_numbers_are_used_once() -> None:
    places: dict[int, set[tuple[str, tuple[str, ...]]]] = {}
    for rows in PARAMETERS.values():
        for parameter in rows.values():
            places.setdefault(parameter.number, set()).add((parameter.type, parameter.paths))
    assert all(len(meant) == 1 for meant in places.values())
    assert 0 not in places


def test_a_bad_date_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidValue) as caught:
        values("Observation", {"effectivePeriod": {"start": "soon"}})
    assert caught.value.where == "Observation.effectivePeriod"


HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("2025", "2025-01-01T00:00:00.000Z", 365 * 24 * HOUR),
        ("2025-02", "2025-02-01T00:00:00.000Z", 28 * 24 * HOUR),
        ("2025-12", "2025-12-01T00:00:00.000Z", 31 * 24 * HOUR),
        ("2025-07-01", "2025-06-30T23:00:00.000Z", 24 * HOUR),
        ("2025-03-30", "2025-03-30T00:00:00.000Z", 23 * HOUR),  # the clocks go forward
        ("2025-10-26", "2025-10-25T23:00:00.000Z", 25 * HOUR),  # and back
        ("2025-01-01T10:00", "2025-01-01T10:00:00.000Z", HOUR // 60),
        ("2025-01-01T10:00:01Z", "2025-01-01T10:00:01.000Z", 1_000_000),
        ("2025-01-01T10:00:01.5-05:00", "2025-01-01T15:00:01.500Z", 100_000),
        ("2025-01-01T10:00:01.123456789Z", "2025-01-01T10:00:01.123Z", 1),
    ],
)
def test_a_date_is_the_interval_it_means(text: str, low: str, width: int) -> None:
    first, end = interval(text)
    assert (instant_text(first), end - first) == (low, width)


def test_the_last_year_has_no_end() -> None:
    assert interval("9999-12-31")[1] == LAST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "2025-13",
        "2025-02-30",
        "2025-1-1",
        "2025-01-01T",
        "2025-01-01T25:00:00Z",
        "0000",
        "٢٠٢٥",
        "2025-01-01 10:00",
        "2025-01-01T10:00:00+99:00",
        "2025\n",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(InvalidValue):
        interval(text)
