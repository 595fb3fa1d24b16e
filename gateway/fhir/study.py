"""What was asked and what was done: Specimen, ServiceRequest and the genomic study (1.6, 6).

`regions.studied` is how a negative report says what was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.fhir import people, terms
from gateway.fhir.composed import Graph
from gateway.fhir.terms import Json
from gateway.report import Analysis, Code, Order, Report, Specimen

TESTED = {"fetus": "Fetus", "relative": "Relative of the patient", "donor": "Donor"}
"""Whose material was tested, where it is not the patient's own (safety.md 10)."""

ORDER_STATUS = {
    "registered": "active",
    "partial": "active",
    "preliminary": "active",
    "cancelled": "revoked",
    "entered-in-error": "unknown",
}
STUDY_STATUS = {
    "registered": "in-progress",
    "partial": "in-progress",
    "preliminary": "in-progress",
    "cancelled": "stopped",
    "entered-in-error": "entered-in-error",
}
NOT_ANALYSED = frozenset({"registered", "cancelled"})


def add_specimens(graph: Graph, report: Report) -> None:
    """Add the specimens, and remember them for all that was found in them."""
    graph.specimens = tuple(
        graph.add("Specimen", graph.numbered(_specimen_role(one)), _specimen(graph, one, report))
        for one in report.specimens
    )


def add_order(graph: Graph, report: Report) -> None:
    """Add the request that the report answers, if the message says anything about it."""
    if report.order != Order():
        graph.order = graph.add("ServiceRequest", "ServiceRequest", _order(graph, report))


def add_study(graph: Graph, report: Report) -> None:
    """Add the study and its analysis, if the message says how or what was tested."""
    if report.analysis == Analysis():
        return
    analyses: list[Json] = []
    # The profile fixes `completed`: what has not been done yet has no analysis resource.
    if report.status not in NOT_ANALYSED:
        target = graph.add("Procedure", "Analysis", _analysis(graph, report.analysis))
        analyses.append(_gr_extension("genomic-study-analysis-ext", target))
    content = terms.put(
        _procedure("genomic-study"),
        {
            "extension": analyses,
            "basedOn": [terms.reference(graph.order)] if graph.order else None,
            "status": STUDY_STATUS.get(report.status, "completed"),
            "subject": terms.reference(graph.subject),
            "reasonCode": terms.codeables(report.order.reasons),
        },
    )
    graph.study = graph.add("Procedure", "Study", content)


def _specimen_role(given: Specimen) -> str:
    return f"specimen:{given.identifier.value if given.identifier else ''}"


def _specimen(graph: Graph, given: Specimen, report: Report) -> Json:
    about = TESTED.get(given.tested_subject)
    return terms.put(
        terms.resource("Specimen"),
        {
            "identifier": [terms.identifier(given.identifier)] if given.identifier else None,
            "status": "available",
            "type": terms.codeable(given.type),
            "subject": terms.reference(graph.subject),
            "receivedTime": given.received or report.received,
            "collection": {"collectedDateTime": given.collected} if given.collected else None,
            "note": [{"text": f"Tested material: {about}."}] if about else None,
        },
    )


def _order(graph: Graph, report: Report) -> Json:
    order = report.order
    numbers = ((order.placer, "PLAC"), (order.filler, "FILL"))
    return terms.put(
        terms.resource("ServiceRequest"),
        {
            "identifier": [terms.identifier(one, type_) for one, type_ in numbers if one],
            "status": ORDER_STATUS.get(report.status, "completed"),
            "intent": "order",
            "code": terms.codeable(order.test),
            "subject": terms.reference(graph.subject),
            "authoredOn": order.requested,
            "requester": people.requester(graph, order.requester, order.requester_person),
            "reasonCode": terms.codeables(order.reasons),
            "specimen": terms.references(graph.specimens),
            "note": [{"text": order.note}] if order.note else None,
        },
    )


def _procedure(profile: str) -> Json:
    content = terms.resource("Procedure", profile)
    content["category"] = terms.concept(terms.OBSERVATION_CATEGORY, "laboratory")
    return content


def _analysis(graph: Graph, given: Analysis) -> Json:
    content = _procedure("genomic-study-analysis")
    return terms.put(
        content,
        {
            "extension": _analysis_extensions(graph, given),
            "status": "completed",
            "subject": terms.reference(graph.subject),
            "note": _words(given),
        },
    )


def _analysis_extensions(graph: Graph, given: Analysis) -> list[Json]:
    made = [_concept("method-type", method) for method in given.methods if method]
    if given.genome_build:
        made.append(_concept("genome-build", given.genome_build))
    if given.source_class:
        made.append(_concept("genomic-source-class", given.source_class))
    made += [_gr_extension("genomic-study-analysis-specimen", target) for target in graph.specimens]
    regions = _regions(given)
    if regions:
        made.append({"url": _url("regions"), "extension": regions})
    return made


def _regions(given: Analysis) -> list[Json]:
    made: list[Json] = []
    if given.regions:
        made.append(terms.extension("description", "valueString", "; ".join(given.regions)))
    for name, genes in (("studied", given.genes_studied), ("uncalled", given.genes_uncalled)):
        made += [
            terms.extension(name, "valueCodeableConcept", concept)
            for concept in terms.codeables(genes)
        ]
    return made


def _words(given: Analysis) -> list[Json]:
    """What the profile has no place for: alleles looked for, transcripts, gaps."""
    said = (
        ("Alleles tested", _shown(given.tested)),
        ("Reference transcripts", _shown(given.reference_transcripts)),
        ("Regions not called", given.regions_uncalled),
    )
    joined = ((name, ", ".join(values)) for name, values in said)
    return [{"text": f"{name}: {values}"} for name, values in joined if values]


def _shown(codes: Iterable[Code]) -> Iterable[str]:
    return (code.text or code.code for code in codes if code)


def _url(suffix: str) -> str:
    return terms.profile(f"genomic-study-analysis-{suffix}")


def _concept(suffix: str, code: Code) -> Json:
    return terms.extension(_url(suffix), "valueCodeableConcept", terms.codeable(code))


def _gr_extension(name: str, target: str) -> Json:
    return terms.extension(terms.profile(name), "valueReference", terms.reference(target))
