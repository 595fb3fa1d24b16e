"""Plain laboratory results as core R4 Observations: no genomics profile, category LAB alone.

A report of several orders (OBR) has a panel for each that has a code, with its results as
members; otherwise the results stand side by side.
"""

from __future__ import annotations

from gateway.fhir import terms
from gateway.fhir.composed import Graph
from gateway.fhir.study import TESTED
from gateway.fhir.terms import Json
from gateway.report import Code, Quantity, Range, Ratio, Report, Result

_WITHDRAWN = frozenset({"cancelled", "entered-in-error"})
_CATEGORY = [terms.concept(terms.OBSERVATION_CATEGORY, "laboratory")]
"""One object for all Observations, so never change it in place."""
# The status of a panel whose members differ: what needs most care wins.
_CARE = ("registered", "preliminary", "corrected", "amended", "final", "cancelled",
         "entered-in-error")  # fmt: skip


def add_results(graph: Graph, report: Report) -> None:
    """Add every plain result of the report, and its panels."""
    common = _common(graph, report) if report.results else {}
    members: dict[Code, list[tuple[str, Result]]] = {}
    for result in report.results:
        role = graph.numbered(f"result:{result.key}")
        target = graph.add("Observation", role, _result(common, report, result))
        members.setdefault(result.panel, []).append((target, result))
    if {_word(panel) for panel in members} <= {_word(report.title), ""}:
        return
    for panel, some in members.items():
        if panel.code:
            role = graph.numbered(f"panel:{panel.code}")
            graph.add("Observation", role, _panel(common, report, panel, some))


def _word(code: Code) -> str:
    return code.code or code.text


def _result(common: Json, report: Report, given: Result) -> Json:
    made = _observation(common, report, given.code, given.status, given.effective)
    # An observation says either a value or why there is none (R4 obs-6).
    if value := value_of(given):
        made |= value
    elif absent := terms.codeable(given.absent):
        made["dataAbsentReason"] = absent
    if flags := terms.codeables(given.interpretation):
        made["interpretation"] = flags
    if notes := [{"text": text} for text in given.notes if text]:
        made["note"] = notes
    if given.method and (method := terms.codeable(given.method)):
        made["method"] = method
    if limits := _reference_range(given):
        made["referenceRange"] = [limits]
    return made


def _panel(common: Json, report: Report, panel: Code, some: list[tuple[str, Result]]) -> Json:
    statuses = {result.status for _, result in some}
    status = next((one for one in _CARE if one in statuses), "unknown")
    content = _observation(common, report, panel, status, "")
    content["hasMember"] = terms.references(target for target, _ in some)
    return content


def _observation(common: Json, report: Report, code: Code, status: str, effective: str) -> Json:
    made = {
        "resourceType": "Observation",
        "status": report.status if report.status in _WITHDRAWN else status,
        "category": _CATEGORY,
        "code": terms.codeable(code),
        **common,
    }
    if when := effective or report.effective:
        made["effectiveDateTime"] = when
    return made


def _common(graph: Graph, report: Report) -> Json:
    """Return what every result of a report says alike: made once, for there may be hundreds."""
    about = TESTED.get(report.tested_subject)
    return terms.put(
        {},
        {
            "basedOn": [terms.reference(graph.order)] if graph.order else None,
            "subject": terms.reference(graph.subject),
            "focus": [{"display": about}] if about else None,
            "performer": [graph.laboratory] if graph.laboratory else None,
            # With several specimens the message does not say which one a result is from.
            "specimen": terms.reference(graph.specimens[0]) if len(graph.specimens) == 1 else None,
        },
    )


def value_of(given: Result) -> Json:
    """Return the `value[x]` element of a result; empty when it has no value."""
    value = given.value
    if isinstance(value, Quantity):
        return {"valueQuantity": terms.quantity(value)}
    if isinstance(value, Range):
        return {"valueRange": terms.value_range(value)}
    if isinstance(value, Ratio):
        ends = (("numerator", value.numerator), ("denominator", value.denominator))
        return {"valueRatio": {name: terms.quantity(end) for name, end in ends}}
    if not value:
        return {}
    if isinstance(value, Code):
        return {"valueCodeableConcept": terms.codeable(value)}
    if given.value_type == "Period":
        start, _, end = value.partition("/")
        return {"valuePeriod": terms.put({}, {"start": start, "end": end})}
    name = {"dateTime": "valueDateTime", "time": "valueTime"}.get(given.value_type, "valueString")
    return {name: value}


def _reference_range(given: Result) -> Json:
    made = terms.value_range(given.reference_range) if given.reference_range else {}
    if given.reference_text:
        made["text"] = given.reference_text
    return made
