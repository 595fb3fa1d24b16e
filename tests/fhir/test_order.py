"""An order as FHIR: the ServiceRequest, what it names, and whose material is tested."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.fhir.bundle import stable_ids
from gateway.fhir.composed import Context
from gateway.fhir.conformance import Checker
from gateway.fhir.merged import compose_merge, compose_patient
from gateway.fhir.order import compose_request
from gateway.report import (
    Code,
    Identifier,
    Order,
    Organization,
    Patient,
    PersonName,
    Practitioner,
    Quantity,
    Result,
    Specimen,
)
from gateway.request import Request

CONTEXT = Context("2026-02-10T09:15:00+00:00", "message", "orders")
LOINC = "http://loinc.org"
PATIENT = Patient((Identifier("0101625707", "urn:x:chi"),), PersonName("Testpatient", ("Morag",)))
REQUEST = Request(
    Order(
        placer=Identifier("ORD-1", "urn:x:order"),
        filler=Identifier("LAB-1", "urn:x:lab"),
        test=Code("Inherited breast cancer", "R208.1", "urn:x:directory"),
        requester=Organization("NHS Lothian", Identifier("SS999", "urn:x:ods")),
        requester_person=Practitioner(PersonName("Reid"), Identifier("G1", "urn:x:staff")),
        requested="2026-02-10T09:10:00+00:00",
    ),
    PATIENT,
    priority="urgent",
    group=Identifier("GRP-1", "urn:x:group"),
    reasons=(Code("Family history"),),
    specimens=(Specimen(Identifier("SP-1", "urn:x:specimen"), Code("Blood"), "2026-02-10"),),
    answers=(
        Result("q1", Code("Pregnant?", "67471-3", LOINC), value=Code("No")),
        Result("q2", Code("Age at onset"), value=Quantity(Decimal("41"), "a", "a")),
    ),
    notes=("First line.", "Second line."),
)


def _made(request: Request) -> dict[str, list[dict[str, Any]]]:
    made: dict[str, list[dict[str, Any]]] = {}
    for one in compose_request(request, stable_ids("d"), CONTEXT):
        assert Checker().problems({"id": "x", **one.resource}) == []
        made.setdefault(one.type, []).append(one.resource)
    return made


def test_an_order_is_a_service_request_with_all_that_it_names() -> None:
    made = _made(REQUEST)
    (order,) = made["ServiceRequest"]
    assert (order["status"], order["intent"], order["priority"]) == ("active", "order", "urgent")
    assert [(one["type"]["coding"][0]["code"], one["value"]) for one in order["identifier"]] == [
        ("PLAC", "ORD-1"),
        ("FILL", "LAB-1"),
    ]
    assert order["requisition"]["value"] == "GRP-1"
    assert order["code"]["coding"][0]["code"] == "R208.1"
    assert order["reasonCode"] == [{"text": "Family history"}]
    assert order["note"] == [{"text": "First line.\nSecond line."}]
    assert len(order["specimen"]) == len(made["Specimen"]) == 1
    assert len(made["PractitionerRole"]) == 1
    assert made["Provenance"][0]["agent"][0]["who"]["display"] == "NHS Lothian"


def test_an_answer_is_a_survey_observation_that_the_order_names() -> None:
    made = _made(REQUEST)
    assert len(made["ServiceRequest"][0]["supportingInfo"]) == 2
    pregnant, age = made["Observation"]
    assert pregnant["category"][0]["coding"][0]["code"] == "survey"
    assert pregnant["valueCodeableConcept"] == {"text": "No"}
    assert age["valueQuantity"]["code"] == "a"
    assert all(one["effectiveDateTime"] == "2026-02-10T09:10:00+00:00" for one in (pregnant, age))


@pytest.mark.parametrize(
    ("unit", "categories", "coded"),
    [("cm", ["survey", "vital-signs"], True), ("m", ["survey"], False)],
)
def test_a_vital_sign_is_one_or_loses_its_code(
    unit: str, categories: list[str], coded: bool
) -> None:
    height = Result(
        "q", Code("Height", "8302-2", LOINC), value=Quantity(Decimal("164"), unit, unit)
    )
    (answer,) = _made(replace(REQUEST, answers=(height,)))["Observation"]
    assert [one["coding"][0]["code"] for one in answer["category"]] == categories
    assert ("coding" in answer["code"]) is coded
    assert answer["code"]["text"] == "Height"


def test_an_order_about_a_fetus_says_so_on_order_and_specimen() -> None:
    specimen = replace(REQUEST.specimens[0], tested_subject="fetus")
    made = _made(replace(REQUEST, tested_subject="fetus", specimens=(specimen,)))
    assert made["ServiceRequest"][0]["note"][0]["text"] == "To be tested: Fetus, not the patient."
    assert made["Specimen"][0]["note"] == [{"text": "Tested material: Fetus."}]


def test_the_least_order_is_still_valid() -> None:
    made = _made(Request(Order(placer=Identifier("ORD-1")), PATIENT, status="revoked"))
    assert made["ServiceRequest"][0]["status"] == "revoked"
    assert set(made) == {"Patient", "ServiceRequest", "Provenance"}


def test_a_merge_ends_one_patient_and_links_both() -> None:
    ids = stable_ids("d")
    made = compose_merge(PATIENT, replace(PATIENT, replaces=("Patient/x",)), ids, CONTEXT)
    assert all(Checker().problems({"id": "x", **one.resource}) == [] for one in made)
    here, gone, provenance = (one.resource for one in made)
    assert "active" not in here
    assert [one["type"] for one in here["link"]] == ["replaces"]
    assert gone["active"] is False
    assert [one["type"] for one in gone["link"]] == ["replaced-by", "replaces"]
    assert here["link"][0]["other"]["reference"] == ids("Patient", "Patient:subsumed")
    assert len(provenance["target"]) == 2


def test_a_patient_that_was_never_merged_has_no_link() -> None:
    here, _ = compose_patient(PATIENT, stable_ids("d"), CONTEXT)
    assert not {"active", "link"} & set(here.resource)
