from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import NotConformant
from gateway.fhir import terms
from gateway.fhir.bundle import to_json
from gateway.fhir.conformance import Checker, check
from gateway.fhir.genomics import compose
from tests.fhir.reports import CONTEXT, POSITIVE, relative_ids

Json = dict[str, Any]


def claiming(profile: str) -> Json:
    for one in compose(POSITIVE, relative_ids(), CONTEXT):
        if one.resource.get("meta", {}).get("profile") == [terms.profile(profile)]:
            read: Json = orjson.loads(to_json(one.resource))
            return read
    raise LookupError


def put(path: str, value: Any) -> Callable[[Json], None]:
    def change(resource: Json) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        target: Any = resource
        for part in parents:
            target = target[part]
        if isinstance(target, list) and last == len(target):
            target.append(value)
        elif value is None:
            del target[last]
        else:
            target[last] = value

    return change


LOINC_CODE = {"coding": [{"system": terms.LOINC, "code": "LA6668-3"}]}
CHROMOSOME = {"coding": [{"system": terms.LOINC, "code": "48000-4"}]}

FAULTS = [
    ("variant", put("category.1", None), "Observation.category"),
    ("variant", put("category.2", terms.concept(terms.SECTION, "GE")), "Observation.category"),
    ("variant", put("code.coding.0.code", "69548-7"), "Observation.code"),
    ("variant", put("valueCodeableConcept", {"text": "Seen"}), "Observation.valueCodeableConcept"),
    (
        "variant",
        lambda one: (one.pop("valueCodeableConcept"), one.update(valueString="Present")),
        "Observation.valueString",
    ),
    (
        "variant",
        put("component.3", {"code": CHROMOSOME, "valueCodeableConcept": LOINC_CODE}),
        "Observation.component[3].valueCodeableConcept",
    ),
    (
        "variant",
        put("component.4", {"code": CHROMOSOME, "valueString": "7"}),
        "Observation.component[4]",
    ),
    (
        "variant",
        lambda one: one["component"].append(one["component"][4]),
        "Observation.component[24]",
    ),
    ("diagnostic-implication", put("valueString", "x"), "Observation.valueString"),
    ("diagnostic-implication", put("derivedFrom", None), "Observation.derivedFrom"),
    ("therapeutic-implication", put("code", LOINC_CODE), "Observation.code"),
    ("molecular-consequence", put("derivedFrom", None), "Observation.derivedFrom"),
    ("genomic-report", put("category.0", None), "DiagnosticReport.category"),
    ("genomic-report", put("code.coding.0", None), "DiagnosticReport.code"),
    (
        "genomic-report",
        lambda one: (one.pop("effectiveDateTime"), one.update(effectivePeriod={"start": "2025"})),
        "DiagnosticReport.effectivePeriod",
    ),
    (
        "genomic-study",
        put("report", [{"reference": "DiagnosticReport/1"}]),
        "Procedure.report",
    ),
    ("genomic-study", put("category", None), "Procedure.category"),
    ("genomic-study", put("performedString", "May"), "Procedure.performedString"),
    ("genomic-study-analysis", put("code", LOINC_CODE), "Procedure.code"),
    ("genomic-study-analysis", put("status", "in-progress"), "Procedure.status"),
    ("followup-recommendation", put("status", "completed"), "Task.status"),
    ("followup-recommendation", put("intent", "order"), "Task.intent"),
    ("followup-recommendation", put("code", None), "Task.code"),
]


@pytest.mark.parametrize(("profile", "change", "path"), FAULTS)
def test_a_broken_profile_is_found_at_its_place(
    profile: str, change: Callable[[Json], None], path: str
) -> None:
    resource = claiming(profile)
    change(resource)
    assert [problem.path for problem in Checker().problems(resource)] == [path]


def test_a_profile_of_another_type_is_refused() -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": [terms.profile("variant")]}}
    assert [one.path for one in Checker().problems(patient)] == ["Patient.meta.profile"]


def test_a_profile_that_is_not_ours_is_left_to_others() -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": ["urn:example:profile"]}}
    assert Checker().problems(patient) == []


def test_the_first_problem_is_raised_with_its_place_and_without_its_value() -> None:
    with pytest.raises(NotConformant) as caught:
        check({"resourceType": "Patient", "birthDate": "01/02/1962"})
    assert caught.value.where == "Patient.birthDate"
    assert "1962" not in str(caught.value)
