from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.fhir.conformance import check
from gateway.fhir.genomics import compose
from gateway.fhir.narrative import READ_THE_REPORT, narrative
from gateway.report import Attachment, Code, Identifier, Quantity, Range, Ratio, Report, Result
from tests.fhir.reports import (
    BLOOD,
    CONTEXT,
    MINIMAL,
    ORDER,
    PDF,
    POSITIVE,
    loinc,
    relative_ids,
)

Json = dict[str, Any]

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
GLUCOSE = loinc("14749-6", "Glucose")
LIPIDS = loinc("24331-1", "Lipid panel")
MMOL = Quantity(Decimal("5.40"), "mmol/L", "mmol/L")
HIGH = Code("High", "H", INTERPRETATION, "High")

FULL = Result(
    key="glucose",
    code=replace(GLUCOSE, also=(Code("Glucose level", "36048009", "http://snomed.info/sct"),)),
    value=MMOL,
    value_type="Quantity",
    interpretation=(HIGH,),
    reference_range=Range(Decimal("3.5"), Decimal("5.3"), "mmol/L", "mmol/L"),
    reference_text="3.5 - 5.3",
    effective="2025-03-09",
    method=Code("Enzymatic"),
    panel=LIPIDS,
    notes=("Fasting <sample>",),
)
TEXT = Result("genotype", Code("Genotype"), value="*1/*4", panel=LIPIDS)

PLAIN = replace(
    MINIMAL,
    number=Identifier("REP20", "urn:example:lims:report"),
    title=LIPIDS,
    effective="2025-03-10",
    specimens=(BLOOD,),
    order=ORDER,
    results=(FULL, TEXT),
    genomic=False,
)
MIXED = replace(POSITIVE, results=(FULL,))

VALUES: dict[str, tuple[Result, Json]] = {
    "Quantity": (
        replace(FULL, value=replace(MMOL, comparator="<")),
        {
            "valueQuantity": {
                "value": Decimal("5.40"), "comparator": "<", "unit": "mmol/L",
                "system": "http://unitsofmeasure.org", "code": "mmol/L",
            }
        },
    ),
    "Quantity without a code": (
        replace(FULL, value=Quantity(Decimal(0), "odd")),
        {"valueQuantity": {"value": Decimal(0), "unit": "odd"}},
    ),
    "CodeableConcept": (
        replace(FULL, value=loinc("LA6576-8", "Positive"), value_type="CodeableConcept"),
        {
            "valueCodeableConcept": {
                "coding": [
                    {"system": "http://loinc.org", "code": "LA6576-8", "display": "Positive"}
                ],
                "text": "Positive",
            }
        },
    ),
    "string": (TEXT, {"valueString": "*1/*4"}),
    "Range": (
        replace(FULL, value=Range(Decimal(10), None, "odd"), value_type="Range"),
        {"valueRange": {"low": {"value": Decimal(10), "unit": "odd"}}},
    ),
    "Ratio": (
        replace(FULL, value=Ratio(Quantity(Decimal(1)), Quantity(Decimal(128))),
                value_type="Ratio"),
        {
            "valueRatio": {
                "numerator": {"value": Decimal(1)}, "denominator": {"value": Decimal(128)},
            }
        },
    ),
    "dateTime": (
        replace(FULL, value="2025-03", value_type="dateTime"),
        {"valueDateTime": "2025-03"},
    ),
    "time": (replace(FULL, value="09:30:00", value_type="time"), {"valueTime": "09:30:00"}),
    "Period": (
        replace(FULL, value="2025-03-01/2025-03-02", value_type="Period"),
        {"valuePeriod": {"start": "2025-03-01", "end": "2025-03-02"}},
    ),
    "open Period": (
        replace(FULL, value="/2025-03-02", value_type="Period"),
        {"valuePeriod": {"end": "2025-03-02"}},
    ),
    "no value": (
        replace(FULL, value="", absent=Code("", "unknown", ABSENT, "Unknown")),
        {"dataAbsentReason": {"coding": [
            {"system": ABSENT, "code": "unknown", "display": "Unknown"}
        ]}},
    ),
}  # fmt: skip


def resources(report: Report, type_: str) -> list[Json]:
    made = compose(report, relative_ids(), CONTEXT)
    return [one.resource for one in made if one.type == type_]


def results(report: Report) -> list[Json]:
    return [one for one in resources(report, "Observation") if "meta" not in one]


def words(report: Report) -> str:
    return " ".join(ElementTree.fromstring(narrative(report)).itertext())


@pytest.mark.parametrize(
    "report",
    [
        PLAIN,
        MIXED,
        replace(PLAIN, title=Code()),
        replace(PLAIN, status="entered-in-error"),
        replace(PLAIN, tested_subject="fetus"),
        replace(PLAIN, results=(FULL, replace(TEXT, panel=loinc("58410-2", "Blood count")))),
        replace(PLAIN, results=tuple(result for result, _ in VALUES.values())),
        replace(PLAIN, conclusion="Words", narrative=("More",)),
        replace(PLAIN, attachments=(Attachment("application/pdf", b"", url="https://x.example/"),)),
    ],
)
def test_every_resource_conforms(report: Report) -> None:
    for one in compose(report, relative_ids(), CONTEXT):
        check(one.resource)


@pytest.mark.parametrize(("result", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_goes_into_the_element_of_its_type(result: Result, expected: Json) -> None:
    (made,) = results(replace(PLAIN, results=(result,)))
    named = {key: one for key, one in made.items() if key.startswith(("value", "dataAbsent"))}
    assert named == expected


def test_a_result_is_a_core_observation_with_all_that_was_said() -> None:
    made, _ = results(PLAIN)
    assert made["category"] == [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                    "code": "laboratory",
                }
            ]
        }
    ]
    assert [one["code"] for one in made["code"]["coding"]] == ["14749-6", "36048009"]
    assert made["code"]["text"] == "Glucose"
    assert made["interpretation"][0]["coding"][0]["code"] == "H"
    assert made["referenceRange"] == [
        {
            "low": {
                "value": Decimal("3.5"), "unit": "mmol/L",
                "system": "http://unitsofmeasure.org", "code": "mmol/L",
            },
            "high": {
                "value": Decimal("5.3"), "unit": "mmol/L",
                "system": "http://unitsofmeasure.org", "code": "mmol/L",
            },
            "text": "3.5 - 5.3",
        }
    ]  # fmt: skip
    assert made["effectiveDateTime"] == "2025-03-09"
    assert made["method"] == {"text": "Enzymatic"}
    assert made["note"] == [{"text": "Fasting <sample>"}]
    assert {"subject", "performer", "specimen", "basedOn"} <= made.keys()


def test_a_result_without_a_time_has_that_of_its_report() -> None:
    assert results(PLAIN)[1]["effectiveDateTime"] == "2025-03-10"


def test_results_of_one_order_stand_side_by_side() -> None:
    assert not any("hasMember" in one for one in results(PLAIN))


def test_results_of_several_orders_are_members_of_their_panels() -> None:
    other = loinc("58410-2", "Blood count")
    loose = replace(TEXT, key="loose", panel=Code("A panel without a code"))
    report = replace(
        PLAIN,
        results=(
            FULL,
            replace(TEXT, panel=other, status="preliminary"),
            replace(FULL, panel=other),
            loose,
        ),
    )
    made = results(report)
    panels = [one for one in made if "hasMember" in one]
    assert [one["code"]["text"] for one in panels] == ["Lipid panel", "Blood count"]
    assert [len(one["hasMember"]) for one in panels] == [1, 2]
    assert [one["status"] for one in panels] == ["final", "preliminary"]
    assert not any("valueString" in one or "effective" in one for one in panels)
    (document,) = resources(report, "DiagnosticReport")
    assert len(document["result"]) == 6


def test_results_of_another_order_than_the_reports_own_are_in_a_panel() -> None:
    assert sum("hasMember" in one for one in results(MIXED)) == 1


def test_two_results_of_one_name_are_two_resources_with_lasting_roles() -> None:
    made = compose(replace(PLAIN, results=(TEXT, TEXT)), relative_ids(), CONTEXT)
    roles = [one.role for one in made if one.type == "Observation"]
    assert roles == ["result:genotype|1", "result:genotype|2"]


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_withdrawn_report_withdraws_its_results(status: str) -> None:
    assert {one["status"] for one in results(replace(PLAIN, status=status))} == {status}


def test_a_plain_report_claims_nothing_genomic() -> None:
    (document,) = resources(replace(PLAIN, conclusion="First", narrative=("Then",)),
                            "DiagnosticReport")  # fmt: skip
    assert "meta" not in document
    assert "extension" not in document
    assert [one["coding"][0]["code"] for one in document["category"]] == ["LAB"]
    assert document["code"]["text"] == "Lipid panel"
    assert "51969-4" not in str(document["code"])
    assert document["conclusion"] == "First\n\nThen"
    assert len(document["result"]) == 2


def test_a_plain_report_without_a_title_is_still_called_something() -> None:
    (document,) = resources(replace(PLAIN, title=Code()), "DiagnosticReport")
    assert document["code"] == {"text": "Laboratory report"}


def test_a_genomic_report_may_hold_plain_results_beside_its_findings() -> None:
    (document,) = resources(MIXED, "DiagnosticReport")
    assert document["meta"]["profile"][0].endswith("genomic-report")
    assert len(document["result"]) == len(resources(MIXED, "Observation"))


def test_a_pointer_is_presented_by_its_address_and_stores_nothing() -> None:
    pointer = Attachment("application/pdf", b"", "Full report", url="https://lab.example/r.pdf")
    report = replace(PLAIN, attachments=(pointer,))
    (document,) = resources(report, "DiagnosticReport")
    assert document["presentedForm"] == [
        {
            "contentType": "application/pdf",
            "url": "https://lab.example/r.pdf",
            "title": "Full report",
        }
    ]
    assert resources(report, "Binary") == []


def test_the_narrative_shows_each_result_with_unit_flag_and_reference_range() -> None:
    said = words(PLAIN)
    assert "Glucose 5.40 mmol/L High 3.5 - 5.3 Fasting <sample>" in said
    assert "Genotype *1/*4" in said


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (replace(FULL, value=replace(MMOL, comparator=">")), ">5.40 mmol/L"),
        (replace(FULL, value=Quantity(Decimal("1E+2"))), "100"),
        (replace(FULL, value=Range(Decimal(1), Decimal(2), "g/L")), "1 to 2 g/L"),
        (replace(FULL, value=Range(None, Decimal(2))), "up to 2"),
        (VALUES["Ratio"][0], "1:128"),
        (VALUES["CodeableConcept"][0], "Positive"),
        (VALUES["Period"][0], "2025-03-01 to 2025-03-02"),
        (VALUES["no value"][0], "No value: unknown"),
        (replace(TEXT, value=""), "No value: not sent"),
        (replace(FULL, reference_text=""), "3.5 to 5.3 mmol/L"),
        (replace(FULL, status="preliminary"), "5.40 mmol/L (preliminary)"),
        (replace(FULL, status="entered-in-error"), "5.40 mmol/L (withdrawn: do not use)"),
        (replace(FULL, panel=Code("Another <order>")), "Another <order>"),
    ],
)
def test_the_narrative_shows_a_value_as_it_is_meant(result: Result, shown: str) -> None:
    assert shown in words(replace(PLAIN, results=(result,)))


def test_the_laboratorys_own_words_still_come_first() -> None:
    said = words(replace(PLAIN, conclusion="All is well", status="preliminary"))
    assert said.startswith("All is well")
    assert said.index("Incomplete:") < said.index("Glucose")


def test_results_beside_a_document_are_not_only_in_the_document() -> None:
    document = Attachment("application/pdf", PDF)
    assert READ_THE_REPORT not in words(replace(PLAIN, attachments=(document,)))
    assert READ_THE_REPORT in words(replace(PLAIN, attachments=(document,), results=()))
