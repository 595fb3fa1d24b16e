from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import NotConformant
from gateway.fhir import terms
from gateway.fhir.composed import Composed
from gateway.fhir.conformance import Checker
from gateway.fhir.genomics import compose
from gateway.report import Code, Identifier, Implication, Order, Organization, Practitioner, Report
from tests.fhir.reports import (
    ABSENT_VARIANT,
    BRCA1_VARIANT,
    BRCA2_VARIANT,
    CONTEXT,
    COPY_NUMBER,
    CORRECTED,
    FETAL,
    MINIMAL,
    MITOCHONDRIAL,
    NEGATIVE,
    ORDER,
    PDF,
    PDF_ONLY,
    PENDING,
    POSITIVE,
    SAMPLES,
    UNIDENTIFIED,
    WITHDRAWN,
    WORDS_ONLY,
    hgvs,
    relative_ids,
)

Json = dict[str, Any]


def composed(report: Report, *, inline: bool = False) -> tuple[Composed, ...]:
    return compose(report, relative_ids(), replace(CONTEXT, inline=inline))


def resources(report: Report, type_: str, *, inline: bool = False) -> list[Json]:
    return [one.resource for one in composed(report, inline=inline) if one.type == type_]


def only(report: Report, type_: str, *, inline: bool = False) -> Json:
    (found,) = resources(report, type_, inline=inline)
    return found


def observations(report: Report, profile: str) -> list[Json]:
    return [
        one
        for one in resources(report, "Observation")
        if one["meta"]["profile"] == [terms.profile(profile)]
    ]


def component(observation: Json, code: str) -> Json:
    (found,) = (one for one in observation["component"] if one["code"]["coding"][0]["code"] == code)
    return found


def codes(observation: Json) -> set[str]:
    return {one["code"]["coding"][0]["code"] for one in observation.get("component", ())}


def extensions(content: Json, name: str) -> list[Json]:
    return [one for one in content.get("extension", ()) if one["url"] == terms.profile(name)]


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("inline", [False, True])
def test_every_composed_resource_conforms(report: Report, inline: bool) -> None:
    checker = Checker()
    for one in composed(report, inline=inline):
        assert checker.problems(one.resource) == []


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_every_reference_is_to_a_resource_of_the_report(report: Report) -> None:
    ids = relative_ids()
    made = compose(report, ids, CONTEXT)
    here = {ids(one.type, one.role) for one in made}

    def targets(value: Any) -> set[str]:
        if isinstance(value, list):
            return {target for one in value for target in targets(one)}
        if isinstance(value, dict):
            own = {value["reference"]} if "reference" in value else set()
            return own | {target for one in value.values() for target in targets(one)}
        return set()

    assert {target for one in made for target in targets(one.resource)} <= here


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_each_resource_has_a_role_of_its_own(report: Report) -> None:
    made = composed(report)
    assert len({(one.type, one.role) for one in made}) == len(made)


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_the_report_lists_every_observation(report: Report) -> None:
    listed = only(report, "DiagnosticReport").get("result", [])
    assert len(listed) == len(resources(report, "Observation"))


def test_roles_name_findings_by_content() -> None:
    twice = replace(BRCA2_VARIANT, key="9")
    report = replace(POSITIVE, variants=(*POSITIVE.variants, twice))
    roles = [one.role for one in composed(report)]
    assert "variant:HGNC:1101|NM_000059.4:c.5946del|1" in roles
    assert "variant:HGNC:1101|NM_000059.4:c.5946del|2" in roles
    assert (
        "implication:variant:HGNC:1101|NM_000059.4:c.5946del|1|diagnostic|MONDO:0012933|1" in roles
    )
    assert {"specimen:S1|1", "Study", "Analysis", "ServiceRequest", "task:LA14020-4|1"} <= {*roles}


def test_the_order_of_findings_does_not_change_their_roles() -> None:
    turned = replace(POSITIVE, variants=POSITIVE.variants[::-1])
    assert {one.role for one in composed(turned)} == {one.role for one in composed(POSITIVE)}


def test_people_and_organisations_are_shared_and_the_rest_is_not() -> None:
    shared = {one.type for one in composed(POSITIVE) if one.shared}
    assert shared == {"Patient", "Organization", "Practitioner", "PractitionerRole"}


def test_national_numbers_are_typed_nh_and_others_mr() -> None:
    given = only(POSITIVE, "Patient")["identifier"]
    assert [one["type"]["coding"][0]["code"] for one in given] == ["NH", "MR"]
    assert given[1]["assigner"] == {"display": "Example board"}


@pytest.mark.parametrize(
    ("deceased", "element"),
    [
        ("true", {"deceasedBoolean": True}),
        ("false", {"deceasedBoolean": False}),
        ("2025-01-02", {"deceasedDateTime": "2025-01-02"}),
    ],
)
def test_death_is_a_date_where_there_is_one(deceased: str, element: Json) -> None:
    report = replace(MINIMAL, patient=replace(MINIMAL.patient, deceased=deceased))
    assert element.items() <= only(report, "Patient").items()


def test_a_person_without_an_identifier_is_never_a_shared_resource() -> None:
    report = replace(MINIMAL, authors=(Practitioner(ORDER.requester_person.name),))  # type: ignore[union-attr]
    assert resources(report, "Practitioner") == []
    (author,) = only(report, "DiagnosticReport")["resultsInterpreter"]
    assert author == {"type": "Practitioner", "display": "Dr Ada Clinician"}


def test_a_requester_of_a_team_is_a_practitioner_role() -> None:
    role = only(POSITIVE, "PractitionerRole")
    assert role["practitioner"]["display"] == "Dr Ada Clinician"
    assert role["organization"]["display"] == "Example clinical genetics"


def test_a_requester_without_identifiers_is_named_in_the_reference() -> None:
    assert only(WORDS_ONLY, "ServiceRequest")["requester"]["display"] == "Consultant, Ward 7"


def test_an_identified_team_is_kept_where_its_clinician_is_only_named() -> None:
    order = Order(
        requester=ORDER.requester,
        requester_person=Practitioner(ORDER.requester_person.name),  # type: ignore[union-attr]
    )
    requester = only(replace(MINIMAL, order=order), "ServiceRequest")["requester"]
    assert requester["reference"].startswith("Organization/")
    assert requester["display"] == "Dr Ada Clinician, Example clinical genetics"


def test_order_numbers_are_typed_placer_and_filler() -> None:
    given = only(POSITIVE, "ServiceRequest")["identifier"]
    assert [(one["type"]["coding"][0]["code"], one["value"]) for one in given] == [
        ("PLAC", "O1"),
        ("FILL", "F1"),
    ]


def test_the_report_number_is_a_filler_number_of_the_laboratory() -> None:
    (given,) = only(POSITIVE, "DiagnosticReport")["identifier"]
    assert given["type"]["coding"][0]["code"] == "FILL"
    assert (given["system"], given["value"]) == ("urn:example:lims:report", "REP1")


def test_the_report_has_the_code_of_the_profile_and_its_own_title() -> None:
    code = only(POSITIVE, "DiagnosticReport")["code"]
    assert [one["code"] for one in code["coding"]] == ["51969-4", "1054161000000101", "HBC"]
    assert code["text"] == "Hereditary breast cancer report"


def test_a_negative_report_says_what_was_looked_at_and_what_could_not_be_read() -> None:
    analysis = next(
        one for one in resources(NEGATIVE, "Procedure") if "code" not in one and "note" in one
    )
    (regions,) = extensions(analysis, "genomic-study-analysis-regions")
    said = [(one["url"], next(iter(one.items()))) for one in regions["extension"]]
    assert [url for url, _ in said] == ["description", *["studied"] * 3, "uncalled"]
    assert observations(NEGATIVE, "variant") == []
    assert only(NEGATIVE, "DiagnosticReport")["conclusionCode"][0]["coding"][0]["code"] == (
        "LA6577-6"
    )


def test_an_outcome_is_never_derived() -> None:
    report = replace(POSITIVE, outcome=Code())
    assert "conclusionCode" not in only(report, "DiagnosticReport")


def test_a_named_absent_variant_is_an_observation_with_the_value_absent() -> None:
    (variant,) = observations(ABSENT_VARIANT, "variant")
    assert variant["valueCodeableConcept"]["coding"][0]["code"] == terms.ABSENT
    assert variant["status"] == "corrected"


def test_every_field_of_a_variant_becomes_a_component() -> None:
    variant = observations(POSITIVE, "variant")[0]
    assert len(variant["component"]) == 24
    assert component(variant, "81258-6")["valueQuantity"]["value"] == Decimal("0.50")
    assert component(variant, "82121-5")["valueQuantity"] == {
        "value": Decimal(120),
        "unit": "reads",
        "system": terms.UCUM,
        "code": "1",
    }
    assert component(variant, "69547-8")["valueString"] == "GT"
    assert component(variant, "48018-6")["valueCodeableConcept"] == {
        "coding": [{"system": terms.HGNC, "code": "HGNC:1101", "display": "BRCA2"}],
        "text": "BRCA2",
    }


def test_a_chromosome_name_becomes_its_answer_and_keeps_the_words() -> None:
    (variant,) = observations(COPY_NUMBER, "variant")
    value = component(variant, "48000-4")["valueCodeableConcept"]
    assert value["coding"][0]["code"] == "LA21275-5"
    assert value["text"] == "chr22"


def test_an_open_end_of_a_range_is_left_out() -> None:
    (variant,) = observations(COPY_NUMBER, "variant")
    assert component(variant, "81301-4")["valueRange"] == {"low": {"value": Decimal(18912231)}}


def test_the_mitochondrion_is_a_reference_sequence_and_not_a_chromosome() -> None:
    (variant,) = observations(MITOCHONDRIAL, "variant")
    assert "48000-4" not in codes(variant)
    value = component(variant, "48013-7")["valueCodeableConcept"]
    assert value["coding"][0]["code"] == "NC_012920.1"


def test_words_that_a_required_binding_refuses_become_a_note() -> None:
    variant = observations(WORDS_ONLY, "variant")[0]
    assert codes(variant) == {"48018-6", "82155-3"}
    assert "valueCodeableConcept" not in variant
    assert [one["text"] for one in variant["note"]] == [
        "Chromosome as reported: somewhere",
        "Coding HGVS as reported: c.9163>A",
        "Confidence as reported: fair",
        "Result as reported: Seen",
    ]


def test_significance_is_on_the_implication_alone() -> None:
    assert all("53037-8" not in codes(one) for one in observations(POSITIVE, "variant"))
    implication = observations(POSITIVE, "diagnostic-implication")[0]
    assert component(implication, "53037-8")["valueCodeableConcept"]["text"] == "Pathogenic"
    assert not any(name.startswith("value") for name in implication)


def test_each_kind_of_implication_has_its_profile_and_its_findings() -> None:
    (therapeutic,) = observations(POSITIVE, "therapeutic-implication")
    (consequence,) = observations(POSITIVE, "molecular-consequence")
    assert len(therapeutic["derivedFrom"]) == 1
    assert len(consequence["derivedFrom"]) == 2


@pytest.mark.parametrize("derived_from", [(), ("unknown",), ("2a", "unknown")])
def test_an_implication_of_nothing_is_refused(derived_from: tuple[str, ...]) -> None:
    report = replace(POSITIVE, implications=(Implication("3", derived_from),))
    with pytest.raises(NotConformant) as caught:
        composed(report)
    assert caught.value.where == "Observation.derivedFrom"


def test_a_recommendation_points_to_its_reason() -> None:
    first, second = resources(POSITIVE, "Task")
    assert first["reasonReference"]["reference"].startswith("Observation/")
    assert "reasonReference" not in second
    report = only(POSITIVE, "DiagnosticReport")
    assert len(extensions(report, "recommended-action")) == 2


def test_a_withdrawn_report_recommends_nothing_and_withdraws_its_findings() -> None:
    assert resources(WITHDRAWN, "Task") == []
    assert {one["status"] for one in resources(WITHDRAWN, "Observation")} == {"entered-in-error"}


def test_a_pending_report_claims_no_finished_analysis() -> None:
    (study,) = resources(PENDING, "Procedure")
    assert study["status"] == "in-progress"
    assert study["meta"]["profile"] == [terms.profile("genomic-study")]
    assert only(PENDING, "ServiceRequest")["status"] == "active"


def test_a_study_is_only_there_when_something_is_said_about_it() -> None:
    assert resources(MINIMAL, "Procedure") == []
    assert resources(MINIMAL, "ServiceRequest") == []


def test_a_finding_names_its_specimen_only_when_there_is_one_to_name() -> None:
    assert "specimen" in observations(POSITIVE, "variant")[0]
    assert len(resources(MITOCHONDRIAL, "Specimen")) == 2
    assert "specimen" not in observations(MITOCHONDRIAL, "variant")[0]


def test_a_bare_date_of_issue_is_no_instant() -> None:
    assert "issued" not in only(NEGATIVE, "DiagnosticReport")
    assert only(POSITIVE, "DiagnosticReport")["issued"] == "2025-03-12T09:00:00+00:00"


def test_the_conclusion_is_the_words_of_the_laboratory() -> None:
    assert only(POSITIVE, "DiagnosticReport")["conclusion"] == POSITIVE.conclusion
    notes = extensions(only(POSITIVE, "DiagnosticReport"), "genomic-report-note")
    assert [one["valueAnnotation"]["text"] for one in notes] == list(POSITIVE.narrative)


def test_without_a_headline_the_narrative_is_the_conclusion() -> None:
    report = only(WORDS_ONLY, "DiagnosticReport")
    assert report["conclusion"] == "Words of the laboratory\n\nMore words"
    assert extensions(report, "genomic-report-note") == []


def test_a_document_is_a_binary_by_digest_and_never_in_the_resource() -> None:
    made = [one for one in composed(PDF_ONLY) if one.type == "Binary"]
    assert [one.role for one in made] == [
        f"binary:{hashlib.sha256(content).hexdigest()}" for content in (PDF, b"words")
    ]
    assert all("data" not in one.resource and one.attachment for one in made)
    first, second = only(PDF_ONLY, "DiagnosticReport")["presentedForm"]
    assert first["url"].startswith("Binary/")
    assert first["size"] == len(PDF)
    assert first["hash"] == b64encode(hashlib.sha1(PDF).digest()).decode()
    assert second["title"] == "Words"


def test_a_document_is_inline_when_asked() -> None:
    assert resources(PDF_ONLY, "Binary", inline=True) == []
    first, _ = only(PDF_ONLY, "DiagnosticReport", inline=True)["presentedForm"]
    assert b64decode(first["data"]) == PDF
    assert "url" not in first


def test_provenance_names_the_message_the_laboratory_and_the_gateway() -> None:
    provenance = only(POSITIVE, "Provenance")
    assert provenance["recorded"] == CONTEXT.received
    assert provenance["entity"][0]["role"] == "source"
    assert provenance["entity"][0]["what"]["identifier"] == {"value": "message-1"}
    author, assembler = provenance["agent"]
    assert author["who"]["reference"].startswith("Organization/")
    assert assembler["who"]["display"] == "Genomics gateway, mapping example-laboratory 3"


def test_provenance_is_of_all_that_is_the_reports_own() -> None:
    targets = {one["reference"] for one in only(POSITIVE, "Provenance")["target"]}
    ids = relative_ids()
    own = {
        ids(one.type, one.role)
        for one in compose(POSITIVE, ids, CONTEXT)
        if (not one.shared or one.type == "Patient") and one.type != "Provenance"
    }
    assert targets == own


def test_a_laboratory_that_says_nothing_of_itself_gives_way_to_the_sender() -> None:
    assert "performer" not in only(UNIDENTIFIED, "DiagnosticReport")
    assert only(UNIDENTIFIED, "Provenance")["agent"][0]["who"]["display"] == "example-laboratory"


def test_a_fetal_result_says_whose_material_it_is() -> None:
    assert all(one["focus"] == [{"display": "Fetus"}] for one in resources(FETAL, "Observation"))
    assert only(FETAL, "Specimen")["note"] == [{"text": "Tested material: Fetus."}]


def test_a_code_without_a_system_is_only_shown() -> None:
    report = replace(MINIMAL, outcome=Code(code="17"))
    assert only(report, "DiagnosticReport")["conclusionCode"] == [{"text": "17"}]


def test_further_codings_stand_beside_the_first() -> None:
    code = Code("loss", "A", "urn:example:a", also=(Code("", "B", "urn:example:b"), Code("x")))
    report = replace(POSITIVE, variants=(replace(BRCA1_VARIANT, change_type=code),))
    report = replace(report, implications=(), recommendations=())
    (variant,) = observations(report, "variant")
    assert component(variant, "48019-4")["valueCodeableConcept"] == {
        "coding": [
            {"system": "urn:example:a", "code": "A"},
            {"system": "urn:example:b", "code": "B"},
        ],
        "text": "loss",
    }


def test_a_corrected_report_keeps_every_role() -> None:
    assert [one.role for one in composed(CORRECTED)] == [one.role for one in composed(POSITIVE)]


def test_composing_is_a_function_of_its_arguments() -> None:
    assert composed(POSITIVE) == composed(POSITIVE)


def test_two_organisations_of_one_identifier_are_one_resource() -> None:
    laboratory = Organization(
        "Another name", Identifier("SG999", POSITIVE.laboratory.identifier.system)
    )  # type: ignore[union-attr]
    report = replace(MINIMAL, order=Order(requester=laboratory))
    assert len(resources(report, "Organization")) == 1


def test_hgvs_that_was_read_is_coded_and_kept_verbatim() -> None:
    value = component(observations(POSITIVE, "variant")[0], "48004-6")["valueCodeableConcept"]
    assert value["text"] == hgvs("NM_000059.4:c.5946del").text
    assert value["coding"] == [{"system": terms.HGVS, "code": "NM_000059.4:c.5946del"}]
