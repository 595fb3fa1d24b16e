from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.errors import NotConformant
from gateway.fhir.conformance import Checker, check_all
from gateway.fhir.conformance.definitions import Definitions
from gateway.fhir.conformance.structure import Structure
from gateway.fhir.conformance.validator import Validator
from tests.fhir.conformance.test_structure import OBSERVATION, PATIENT, VALUES, places

Json = dict[str, Any]

LEARNT = Structure()
MEASURED: Json = {"value": Decimal("1.50"), "unit": "g/L", "system": "urn:ucum", "code": "g/L"}


def _in_full(resource: Json) -> Any:
    """What a structure says that has met no shape, coding or unit before."""
    return Structure().resource(resource)


@settings(max_examples=300, deadline=None)
@given(places(), VALUES)
def test_what_was_learnt_changes_no_verdict(place: tuple[Json, Any, Any], value: Any) -> None:
    resource, parent, name = place
    assert LEARNT.resource(resource) == _in_full(resource)
    parent[name] = value
    for _ in range(2):
        assert LEARNT.resource(resource) == _in_full(resource)


@pytest.mark.parametrize(
    "wrong",
    [
        {**MEASURED, "value": "1.50"},
        {**MEASURED, "value": Decimal("NaN")},
        {**MEASURED, "code": " g"},
        {**MEASURED, "unit": ["g/L"]},
        {"value": Decimal(1), "unit": "g/L", "system": "urn:ucum", "colour": "g/L"},
        {"value": Decimal(1), "unit": "g/L", "code": "g/L", "id": "a"},
    ],
)
def test_a_remembered_unit_does_not_hide_a_fault(wrong: Json) -> None:
    checker = Checker()
    for _ in range(2):
        assert checker.problems({**OBSERVATION, "valueQuantity": MEASURED}) == []
    assert checker.problems({**OBSERVATION, "valueQuantity": wrong})


def test_a_part_that_is_shared_is_sound_only_where_it_was_found_so() -> None:
    checker = Checker()
    shared = {"reference": "Organization/1"}
    assert checker.problems({**PATIENT, "managingOrganization": shared}) == []
    same: dict[str, Json] = {}
    for _ in range(2):
        found = checker.problems({**PATIENT, "managingOrganization": shared}, same)
        assert found == []
        assert checker.problems({**OBSERVATION, "specimen": shared}, same)


def test_the_fault_of_one_resource_among_many_is_found() -> None:
    subject = {"reference": "Patient/1"}
    sound = [{**OBSERVATION, "subject": subject} for _ in range(3)]
    check_all(sound)
    broken = {**copy.deepcopy(sound[0]), "status": "fnal"}
    with pytest.raises(NotConformant) as raised:
        check_all([*sound, broken])
    assert raised.value.where == "Observation.status"


@pytest.mark.parametrize("data", ["AAAA==", "A===", "=AAA", "AA=A", "AAA\n", "AAAé", "AA A", "A"])
def test_what_is_not_base64_is_refused(data: str) -> None:
    photo = [{"contentType": "a/b", "data": data}]
    assert Checker().problems({**PATIENT, "photo": photo})


@pytest.mark.parametrize("data", ["AAAA", "AAA=", "AA==", "+/+/"])
def test_base64_with_its_filling_is_accepted(data: str) -> None:
    photo = [{"contentType": "a/b", "data": data}]
    assert Checker().problems({**PATIENT, "photo": photo}) == []


def test_a_type_that_the_gateway_never_writes_has_its_structure_checked() -> None:
    validator = Validator(Definitions([]))
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    assert validator.findings(encounter) == []
    del encounter["class"]
    assert [one.path for one in validator.findings(encounter)] == ["Encounter.class"]
