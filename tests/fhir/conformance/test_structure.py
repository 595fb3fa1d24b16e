from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir.bundle import stable_ids, to_json, transaction
from gateway.fhir.conformance import Checker
from gateway.fhir.conformance.structure import Structure
from gateway.fhir.genomics import compose
from tests.fhir.reports import CONTEXT, POSITIVE, SAMPLES, relative_ids

Json = dict[str, Any]

PATIENT: Json = {"resourceType": "Patient", "id": "1"}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
PERIOD = {"start": "2025"}

FAULTS: list[tuple[Any, str]] = [
    ([], "Resource"),
    ({}, "Resource.resourceType"),
    ({"resourceType": "Nonsense"}, "Nonsense.resourceType"),
    ({"resourceType": ["Patient"]}, "Resource.resourceType"),
    ({**PATIENT, "colour": "red"}, "Patient.colour"),
    ({**PATIENT, "fhir_comments": "x"}, "Patient.fhir_comments"),
    ({**PATIENT, "active": "true"}, "Patient.active"),
    ({**PATIENT, "active": None}, "Patient.active"),
    ({**PATIENT, "gender": "m"}, "Patient.gender"),
    ({**PATIENT, "gender": " male"}, "Patient.gender"),
    ({**PATIENT, "birthDate": "1962-02-30"}, "Patient.birthDate"),
    ({**PATIENT, "birthDate": "1962-2-3"}, "Patient.birthDate"),
    ({**PATIENT, "deceasedDateTime": "2025-01-01T10:00:00"}, "Patient.deceasedDateTime"),
    ({**PATIENT, "deceasedBoolean": True, "deceasedDateTime": "2025"}, "Patient.deceased[x]"),
    ({**PATIENT, "id": "a_b"}, "Patient.id"),
    ({**PATIENT, "id": "x" * 65}, "Patient.id"),
    ({**PATIENT, "name": {"family": "Test"}}, "Patient.name"),
    ({**PATIENT, "name": []}, "Patient.name"),
    ({**PATIENT, "name": [{}]}, "Patient.name[0]"),
    ({**PATIENT, "name": [{"given": "Ada"}]}, "Patient.name[0].given"),
    ({**PATIENT, "name": [{"given": [None]}]}, "Patient.name[0].given[0]"),
    ({**PATIENT, "name": [{"family": ""}]}, "Patient.name[0].family"),
    ({**PATIENT, "name": [{"family": "a\x07b"}]}, "Patient.name[0].family"),
    ({**PATIENT, "identifier": [{"system": "a b"}]}, "Patient.identifier[0].system"),
    ({**PATIENT, "multipleBirthInteger": 1.5}, "Patient.multipleBirthInteger"),
    ({**PATIENT, "multipleBirthInteger": True}, "Patient.multipleBirthInteger"),
    ({**PATIENT, "communication": [{"preferred": True}]}, "Patient.communication[0].language"),
    ({**PATIENT, "extension": [{"url": "x"}]}, "Patient.extension[0]"),
    ({**PATIENT, "extension": [{"valueCode": "x"}]}, "Patient.extension[0].url"),
    ({**PATIENT, "managingOrganization": {"reference": "Patient/1"}}, ""),
    ({**PATIENT, "managingOrganization": {"type": "x"}}, "Patient.managingOrganization"),
    (
        {**PATIENT, "contained": [{"resourceType": "Specimen", "status": "x"}]},
        "Patient.contained[0].status",
    ),
    ({**PATIENT, "meta": {"lastUpdated": "2025"}}, "Patient.meta.lastUpdated"),
    ({**PATIENT, "photo": [{"size": -1}]}, "Patient.photo[0].size"),
    ({**PATIENT, "photo": [{"data": "JVB", "contentType": "a/b"}]}, "Patient.photo[0].data"),
    ({**PATIENT, "photo": [{"data": "JVBERi0="}]}, "Patient.photo[0].data"),
    ({**PATIENT, "text": {"status": "generated"}}, "Patient.text.div"),
    ({**PATIENT, "text": {"status": "generated", "div": "<p>x</p>"}}, "Patient.text.div"),
    ({"resourceType": "Observation", "code": {"text": "x"}}, "Observation.status"),
    ({"resourceType": "Observation", "status": "final"}, "Observation.code"),
    ({**OBSERVATION, "status": "fnal"}, "Observation.status"),
    ({**OBSERVATION, "valueString": "x", "valueInteger": 1}, "Observation.value[x]"),
    (
        {**OBSERVATION, "valueString": "x", "dataAbsentReason": {"text": "x"}},
        "Observation.dataAbsentReason",
    ),
    ({**OBSERVATION, "valueQuantity": {"value": "1.5"}}, "Observation.valueQuantity.value"),
    ({**OBSERVATION, "valueQuantity": {"code": "1"}}, "Observation.valueQuantity.code"),
    (
        {**OBSERVATION, "valueRange": {"low": {"value": 2}, "high": {"value": 1}}},
        "Observation.valueRange",
    ),
    ({**OBSERVATION, "component": [{"valueString": "x"}]}, "Observation.component[0].code"),
    (
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "urn:a", "code": "b"}]},
            "valueString": "x",
            "component": [{"code": {"coding": [{"system": "urn:a", "code": "b"}]}}],
        },
        "Observation.component[0].code",
    ),
    ({"resourceType": "Organization", "active": True}, "Organization"),
    ({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": PERIOD}]}, ""),
]


@pytest.mark.parametrize(("resource", "path"), FAULTS)
def test_a_fault_is_found_at_its_place(resource: Any, path: str) -> None:
    (problem,) = Checker().problems(resource)
    assert problem.path == path or not path


SOUND: list[Json] = [
    PATIENT,
    {**PATIENT, "name": [{"given": ["Ada", None], "_given": [None, {"id": "x"}]}]},
    {**PATIENT, "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}},
    {**PATIENT, "deceasedDateTime": "2025-01-01T10:00:00.123+01:00"},
    {**PATIENT, "managingOrganization": {"reference": "https://other.example/Organization/1"}},
    {**OBSERVATION, "valueQuantity": {"value": 1.5, "system": "urn:x", "code": "1"}},
    {"resourceType": "Observation", "_status": {"id": "x"}, "code": {"text": "x"}},
]


@pytest.mark.parametrize("resource", SOUND)
def test_what_is_sound_is_accepted(resource: Json) -> None:
    assert Checker().problems(resource) == []


def test_a_remembered_coding_does_not_hide_a_fault_elsewhere() -> None:
    checker = Checker()
    coding = {"system": "urn:a", "code": "b"}
    sound = {**OBSERVATION, "code": {"coding": [coding]}}
    assert checker.problems(sound) == []
    for wrong in ({**coding, "code": 1}, {**coding, "colour": "red"}, {**coding, "code": ["b"]}):
        assert checker.problems({**OBSERVATION, "code": {"coding": [wrong]}})


def test_a_remembered_boolean_does_not_admit_a_number() -> None:
    checker = Checker()
    for selected, sound in ((True, True), (1, False)):
        coding = {"system": "urn:a", "code": "b", "userSelected": selected}
        problems = checker.problems({**OBSERVATION, "code": {"coding": [coding]}})
        assert (not problems) is sound


def _valid() -> list[Json]:
    made = [one.resource for report in SAMPLES.values() for one in _compose(report)]
    ids = stable_ids("digest")
    made.append(transaction(compose(POSITIVE, ids, CONTEXT), ids))
    return [orjson.loads(to_json(one)) for one in made]


def _compose(report: Any) -> Any:
    return compose(report, relative_ids(), CONTEXT)


VALID = _valid()
STRUCTURE = Structure()
VALUES = st.sampled_from(
    [None, True, 3, 2.5, "", " ", "text", "2025-01-01", "2025-13", [], {}, [[]], [{}], {"url": "x"}]
)


def _library_accepts(resource: Json) -> bool:
    """Ask the oracle; it has no binding checks and coerces JSON types."""
    type_ = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{type_.lower()}"), type_)
    try:
        model.model_validate(copy.deepcopy(resource))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _places(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        own: list[tuple[Any, Any]] = [(value, name) for name in value if name != "resourceType"]
        return own + [place for one in value.values() for place in _places(one)]
    if isinstance(value, list):
        return [(value, index) for index in range(len(value))] + [
            place for one in value for place in _places(one)
        ]
    return []


@st.composite
def places(draw: st.DrawFn) -> tuple[Json, Any, Any]:
    resource = copy.deepcopy(draw(st.sampled_from(VALID)))
    parent, name = draw(st.sampled_from(_places(resource)))
    return resource, parent, name


# Where the checker is stricter on purpose: nothing empty, required bindings, reference targets,
# and the invariants of the specification.
STRICTER = ("not empty", "required value set", "must not point", "what it points to", "-1)", "-3)")


def _refused(resource: Json) -> list[str]:
    found = STRUCTURE.resource(resource) or []
    return [text for _, text in found if not any(words in text for words in STRICTER)]


@settings(max_examples=300, deadline=None)
@given(places())
def test_dropping_an_element_gets_the_verdict_of_the_library(place: tuple[Json, Any, Any]) -> None:
    resource, parent, name = place
    del parent[name]
    if not parent:
        # The library accepts an empty object where nothing in it is required; we never do.
        assert STRUCTURE.resource(resource)
        return
    assert (not _refused(resource)) is _library_accepts(resource)


@settings(max_examples=200, deadline=None)
@given(places(), st.sampled_from(["colour", "valueString", "valueCode", "status", "text"]))
def test_adding_an_element_gets_the_verdict_of_the_library(
    place: tuple[Json, Any, Any], added: str
) -> None:
    resource, parent, _ = place
    if isinstance(parent, dict) and added not in parent:
        parent[added] = {"text": "x"} if added == "text" else "final"
    assert (not _refused(resource)) is _library_accepts(resource)


@settings(max_examples=500, deadline=None)
@given(places(), VALUES)
def test_what_the_library_refuses_is_refused(place: tuple[Json, Any, Any], value: Any) -> None:
    resource, parent, name = place
    parent[name] = value
    if not _library_accepts(resource):
        assert STRUCTURE.resource(resource)


@settings(max_examples=200, deadline=None)
@given(places())
def test_a_list_for_a_single_value_is_refused_by_both(place: tuple[Json, Any, Any]) -> None:
    resource, parent, name = place
    if isinstance(parent[name], list):
        parent[name] = parent[name][0]
    else:
        parent[name] = [parent[name]]
    assert STRUCTURE.resource(resource)
    assert not _library_accepts(resource)
