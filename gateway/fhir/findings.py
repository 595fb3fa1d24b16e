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
from gateway.report import Code, Implication, Range, Recommendation, Report, Variant

IMPLICATIONS: Mapping[str, tuple[str, tuple[Component, ...]]] = {
    "diagnostic": ("diagnostic-implication", components.DIAGNOSTIC),
    "therapeutic": ("therapeutic-implication", components.THERAPEUTIC),
    "consequence": ("molecular-consequence", components.CONSEQUENCE),
}
"""Kind of implication: its profile, which is also its code in `tbd-codes-cs`."""

_WITHDRAWN = frozenset({"cancelled", "entered-in-error"})
_MITOCHONDRIAL = frozenset({"M", "MT", "CHRM", "CHRMT"})

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
    meant: dict[str, str] = {}
    for implication in report.implications:
        about = _about(implication, found)
        role = graph.numbered(_implication_role(implication, about[0][0]))
        content = _implication(graph, report, implication, [target for _, target in about])
        meant.setdefault(implication.key, graph.add("Observation", role, content))
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


def _about(given: Implication, found: _Found) -> list[tuple[str, str]]:
    if not given.derived_from or any(key not in found for key in given.derived_from):
        raise NotConformant(
            "an implication must name findings of its own report", where="Observation.derivedFrom"
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
    rows: Iterable[Component], given: Variant | Implication
) -> tuple[list[Json], list[tuple[str, Code]]]:
    """Make the components, and list the codes that break a required binding."""
    made: list[Json] = []
    unbound: list[tuple[str, Code]] = []
    for row in rows:
        field = getattr(given, row.field)
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


def _add_task(graph: Graph, given: Recommendation, meant: Mapping[str, str]) -> None:
    reason = meant.get(given.reason)
    content = terms.put(
        terms.resource("Task", "followup-recommendation"),
        {
            "status": "requested",
            "intent": "proposal",
            "code": terms.codeable(given.action),
            "for": terms.reference(graph.subject),
            "reasonReference": terms.reference(reason) if reason else None,
        },
    )
    graph.add("Task", graph.numbered(f"task:{_word(given.action)}"), content)
