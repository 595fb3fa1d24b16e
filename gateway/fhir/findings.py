"""Variants, what they mean, and what is recommended (domain.md 1.1 to 1.3, 1.7).

Significance is never on a Variant, and a value is never on an implication.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import NotConformant
from gateway.fhir import components, terms
from gateway.fhir.components import Component, Kind
from gateway.fhir.composed import Graph
from gateway.fhir.study import TESTED
from gateway.fhir.terms import Json
from gateway.report import (
    Biomarker,
    Code,
    Haplotype,
    Implication,
    Phase,
    Quantity,
    Range,
    Recommendation,
    Report,
    Variant,
)

IMPLICATIONS: Mapping[str, tuple[str, tuple[Component, ...]]] = {
    "diagnostic": ("diagnostic-implication", components.DIAGNOSTIC),
    "therapeutic": ("therapeutic-implication", components.THERAPEUTIC),
    "consequence": ("molecular-consequence", components.CONSEQUENCE),
}
"""Kind of implication: its profile, which is also its code in `tbd-codes-cs`."""

_WITHDRAWN = frozenset({"cancelled", "entered-in-error"})
_MITOCHONDRIAL = frozenset({"M", "MT", "CHRM", "CHRMT"})

_NAMED_AS = {"haplotype": "84414-2", "genotype": "84413-4"}
_RECOMMENDED = {
    "followup": ("followup-recommendation", "diagnostic"),
    "medication": ("medication-recommendation", "therapeutic"),
}
_NO_RANGE = Range()
_PRESENCE = Component(
    "presence", "", "Result", system=terms.LOINC, answers=frozenset(terms.PRESENCE)
)
_CATEGORY = [
    terms.concept(terms.OBSERVATION_CATEGORY, "laboratory"),
    terms.concept(terms.SECTION, "GE"),
]
"""One object for all Observations, so never change it in place."""

_Found = dict[str, list[tuple[str, str]]]
"""Sender's key of a finding to the (role, reference) of its resources."""


def add_findings(graph: Graph, report: Report) -> None:
    """Add every variant, implication and recommendation of the report."""
    found: _Found = {}
    for variant in report.variants:
        role = graph.numbered(_variant_role(variant))
        target = graph.add("Observation", role, _variant(graph, report, variant))
        found.setdefault(variant.key, []).append((role, target))
    for haplotype in report.haplotypes:
        role = graph.numbered(f"{haplotype.kind}:{_word(haplotype.name)}")
        target = graph.add("Observation", role, _haplotype(graph, report, haplotype, found))
        found.setdefault(haplotype.key, []).append((role, target))
    for phase in report.phases:
        role = graph.numbered("|".join(["phase", *(of for of, _ in _about(phase, found))]))
        graph.add("Observation", role, _phase(graph, report, phase, found))
    for biomarker in report.biomarkers:
        role = graph.numbered(f"biomarker:{_word(biomarker.code)}")
        graph.add("Observation", role, _biomarker(graph, report, biomarker))
    meant: dict[tuple[str, str], str] = {}
    for implication in report.implications:
        about = _about(implication, found)
        role = graph.numbered(_implication_role(implication, about[0][0]))
        content = _implication(graph, report, implication, [target for _, target in about])
        meant.setdefault(
            (implication.key, implication.kind), graph.add("Observation", role, content)
        )
    # A withdrawn report recommends nothing, and the profile fixes the Task's status.
    if report.status not in _WITHDRAWN:
        for recommendation in report.recommendations:
            _add_task(graph, recommendation, meant)


def _word(code: Code) -> str:
    return code.code or code.text.strip()


def _variant_role(given: Variant) -> str:
    names = (given.coding_hgvs, given.genomic_hgvs, given.iscn, *given.variation_ids)
    gene = _word(given.genes[0]) if given.genes else ""
    return f"variant:{gene}|{next((_word(name) for name in names if name), '')}"


def _implication_role(given: Implication, of: str) -> str:
    phenotype = _word(given.phenotypes[0]) if given.phenotypes else ""
    return f"implication:{of}|{given.kind}|{phenotype}"


def _about(given: Implication | Phase | Haplotype, found: _Found) -> list[tuple[str, str]]:
    if not given.derived_from or any(key not in found for key in given.derived_from):
        raise NotConformant(
            "this must be about findings of its own report", where="Observation.derivedFrom"
        )
    return [one for key in given.derived_from for one in found[key]]


def _observation(graph: Graph, report: Report, profile: str, code: Json, status: str) -> Json:
    about = TESTED.get(report.tested_subject)
    return terms.put(
        terms.resource("Observation", profile),
        {
            "partOf": [terms.reference(graph.study)] if graph.study else None,
            "status": report.status if report.status in _WITHDRAWN else status,
            "category": _CATEGORY,
            "code": code,
            "subject": terms.reference(graph.subject),
            "focus": [{"display": about}] if about else None,
            "effectiveDateTime": report.effective,
            "performer": [graph.laboratory] if graph.laboratory else None,
            # With several specimens the message does not say which one a finding is from.
            "specimen": terms.reference(graph.specimens[0]) if len(graph.specimens) == 1 else None,
        },
    )


def _variant(graph: Graph, report: Report, given: Variant) -> Json:
    made, unbound = _components(components.VARIANT, _placed(given))
    if given.presence and not _PRESENCE.bound(given.presence):
        unbound.append((_PRESENCE.label, given.presence))
    code = terms.concept(terms.LOINC, "69548-6")
    return terms.put(
        _observation(graph, report, "variant", code, given.status),
        {
            "valueCodeableConcept": terms.codeable(given.presence)
            if _PRESENCE.bound(given.presence)
            else None,
            "note": _notes(given.notes, unbound),
            "method": terms.codeable(given.method),
            "component": made,
        },
    )


def _implication(
    graph: Graph, report: Report, given: Implication, derived_from: Sequence[str]
) -> Json:
    profile, rows = IMPLICATIONS[given.kind]
    made, unbound = _components(rows, given)
    return terms.put(
        _observation(graph, report, profile, terms.concept(terms.TBD, profile), given.status),
        {
            "note": _notes(given.notes, unbound),
            "derivedFrom": terms.references(derived_from),
            "component": made,
        },
    )


def _haplotype(graph: Graph, report: Report, given: Haplotype, found: _Found) -> Json:
    made, unbound = _components(components.FINDING, given)
    code = terms.concept(terms.LOINC, _NAMED_AS[given.kind])
    about = [target for _, target in _about(given, found)] if given.derived_from else []
    kind = [f"Type: {given.type.text}"] if given.type and given.type != given.name else []
    return terms.put(
        _observation(graph, report, given.kind, code, given.status),
        {
            "valueCodeableConcept": terms.codeable(given.name),
            "note": _notes((*kind, *given.notes), unbound),
            "method": terms.codeable(given.method),
            "derivedFrom": terms.references(about),
            "component": made,
        },
    )


def _phase(graph: Graph, report: Report, given: Phase, found: _Found) -> Json:
    code = terms.concept(terms.LOINC, "82120-7")
    about = [target for _, target in _about(given, found)]
    return terms.put(
        _observation(graph, report, "sequence-phase-relationship", code, given.status),
        {
            "valueCodeableConcept": terms.codeable(given.relationship),
            "method": terms.codeable(given.basis),
            "derivedFrom": terms.references(about),
        },
    )


def _biomarker(graph: Graph, report: Report, given: Biomarker) -> Json:
    code = terms.codeable(given.code)
    made, _ = _components(components.BIOMARKER, given)
    content = _observation(graph, report, "molecular-biomarker", code, given.status)
    content["category"] = [*_CATEGORY, terms.concept(terms.TBD, "biomarker-category")]
    return terms.put(
        content,
        {**_value(given.value), "note": _notes(given.notes, ()), "component": made},
    )


def _value(given: Code | Quantity | str) -> Json:
    if isinstance(given, Code):
        return {"valueCodeableConcept": terms.codeable(given)}
    if isinstance(given, Quantity):
        return {"valueQuantity": terms.quantity(given)}
    return {"valueString": given}


def _placed(given: Variant) -> Variant:
    """Name the chromosome as the required list does; the mitochondrion is not on it."""
    if given.chromosome.code or not given.chromosome:
        return given
    name = given.chromosome.text.strip().upper()
    if name in _MITOCHONDRIAL:
        sequence = Code(given.chromosome.text, terms.MITOCHONDRION, terms.REFSEQ)
        return replace(
            given,
            chromosome=Code(),
            genomic_reference=given.genomic_reference or sequence,
        )
    name = name.removeprefix("CHR")
    answer = terms.CHROMOSOMES.get(name)
    if answer is None:
        return given
    code = Code(given.chromosome.text, answer, terms.LOINC, f"Chromosome {name}")
    return replace(given, chromosome=code)


def _components(
    rows: Iterable[Component], given: Variant | Implication | Haplotype | Biomarker
) -> tuple[list[Json], list[tuple[str, Code]]]:
    """Make the components, and list the codes that break a required binding."""
    made: list[Json] = []
    unbound: list[tuple[str, Code]] = []
    for row in rows:
        field = getattr(given, row.field, None)
        for value in field if row.many and isinstance(field, tuple) else (field,):
            if not value or value == _NO_RANGE:
                continue
            if row.system and not row.bound(value):
                unbound.append((row.label, value))
            else:
                made.append(_component(row, value))
    return made, unbound


def _component(row: Component, value: Any) -> Json:
    if row.kind is Kind.CONCEPT:
        return {"code": row.concept, "valueCodeableConcept": terms.codeable(value)}
    if row.kind is Kind.QUANTITY:
        return {"code": row.concept, "valueQuantity": terms.quantity(value, row.ucum)}
    if row.kind is Kind.RANGE:
        return {"code": row.concept, "valueRange": terms.value_range(value)}
    return {"code": row.concept, "valueString": value}


def _notes(notes: Iterable[str], unbound: Iterable[tuple[str, Code]]) -> list[Json]:
    # What a required binding refuses is not lost: the sender's words become a note.
    said = [f"{label} as reported: {code.text or code.code}" for label, code in unbound]
    return [{"text": text} for text in (*notes, *said) if text]


def _add_task(graph: Graph, given: Recommendation, meant: Mapping[tuple[str, str], str]) -> None:
    profile, about = _RECOMMENDED[given.kind]
    reason = meant.get((given.reason, about))
    content = terms.put(
        terms.resource("Task", profile),
        {
            "status": "requested",
            "intent": "proposal",
            "code": terms.codeable(given.action),
            "for": terms.reference(graph.subject),
            "reasonReference": terms.reference(reason) if reason else None,
        },
    )
    graph.add("Task", graph.numbered(f"task:{_word(given.action)}"), content)
