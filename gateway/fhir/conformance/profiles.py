"""The Genomics Reporting 3.0.0 profiles that the gateway claims (domain.md 1.1 to 1.7).

Each rule takes a resource whose base structure is sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.fhir import components, terms
from gateway.fhir.components import Component, Kind
from gateway.fhir.conformance.problem import Problem

Json = dict[str, Any]
Rule = Callable[[Json], Iterator[Problem]]

_LABORATORY = (terms.OBSERVATION_CATEGORY, "laboratory")
_GENETICS = (terms.SECTION, "GE")
_STUDY_PROHIBITED = (
    *("partOf", "statusReason", "recorder", "location", "bodySite", "outcome", "report"),
    *("complication", "complicationDetail", "followUp", "focalDevice"),
    *("usedReference", "usedCode"),
)
_ANALYSIS_PROHIBITED = (
    *_STUDY_PROHIBITED,
    *("code", "basedOn", "encounter", "asserter", "reasonCode", "reasonReference"),
)
_PERFORMED = ("performedPeriod", "performedString", "performedAge", "performedRange")


def _codings(concept: Json) -> set[tuple[str | None, str | None]]:
    return {(one.get("system"), one.get("code")) for one in concept.get("coding", ())}


def _has(concept: Json, pattern: tuple[str, str]) -> bool:
    return pattern in _codings(concept)


def _once(content: Json, *patterns: tuple[str, str]) -> Iterator[Problem]:
    """Each pattern matches exactly one category, which has that one coding."""
    for pattern in patterns:
        matching = [one for one in content.get("category", ()) if _has(one, pattern)]
        if len(matching) != 1 or len(matching[0]["coding"]) != 1:
            yield Problem(".category", f"must have {pattern[1]} exactly once, alone")


def _code(content: Json, pattern: tuple[str, str]) -> Iterator[Problem]:
    if not _has(content.get("code", {}), pattern):
        yield Problem(".code", f"must contain {pattern[1]}")


def _prohibited(content: Json, names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        if name in content:
            yield Problem(f".{name}", "is prohibited by the profile")


def _fixed(content: Json, name: str, value: str) -> Iterator[Problem]:
    if content.get(name) != value:
        yield Problem(f".{name}", f"must be {value}")


def _values(content: Json) -> Iterator[str]:
    return (name for name in content if name.startswith("value"))


def _slices(rows: Sequence[Component]) -> Mapping[tuple[str, str], Component]:
    return {(row.code_system, row.code): row for row in rows}


def _components(content: Json, rows: Mapping[tuple[str, str], Component]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, part in enumerate(content.get("component", ())):
        row = _row(part, rows)
        if row is None:
            continue
        where = f".component[{index}]"
        if row.field in seen and not row.many:
            yield Problem(where, "may be sent once only")
        seen.add(row.field)
        yield from _component(part, row, where)


def _row(part: Json, rows: Mapping[tuple[str, str], Component]) -> Component | None:
    for coding in part["code"].get("coding", ()):
        row = rows.get((coding.get("system"), coding.get("code")))
        if row is not None:
            return row
    return None


def _component(part: Json, row: Component, where: str) -> Iterator[Problem]:
    kinds = [kind for kind in row.kinds if kind.value in part]
    if not kinds:
        yield Problem(where, f"must have a {row.kind.value}")
    elif kinds[0] is Kind.CONCEPT and not _bound(part[Kind.CONCEPT.value], row):
        yield Problem(f"{where}.valueCodeableConcept", "is not of the required value set")


def _bound(concept: Json, row: Component) -> bool:
    return not row.system or any(
        system == row.system and code and (not row.answers or code in row.answers)
        for system, code in _codings(concept)
    )


_FINDING = _slices(components.FINDING)
_VARIANT = _slices(components.VARIANT)


def _variant(content: Json) -> Iterator[Problem]:
    yield from _once(content, _LABORATORY, _GENETICS)
    yield from _code(content, (terms.LOINC, "69548-6"))
    for name in _values(content):
        if name != "valueCodeableConcept":
            yield Problem(f".{name}", "is prohibited by the profile")
        elif not any(
            system == terms.LOINC and code in terms.PRESENCE
            for system, code in _codings(content[name])
        ):
            yield Problem(f".{name}", "is not of the required value set")
    yield from _components(content, _VARIANT)


def _implication(code: str, rows: Sequence[Component]) -> Rule:
    slices = _slices(rows)

    def rule(content: Json) -> Iterator[Problem]:
        yield from _once(content, _LABORATORY, _GENETICS)
        yield from _code(content, (terms.TBD, code))
        yield from _prohibited(content, list(_values(content)))
        if "derivedFrom" not in content:
            yield Problem(".derivedFrom", "is required")
        yield from _components(content, slices)

    return rule


def _named(code: str) -> Rule:
    def rule(content: Json) -> Iterator[Problem]:
        yield from _once(content, _LABORATORY, _GENETICS)
        yield from _code(content, (terms.LOINC, code))
        if "valueCodeableConcept" not in content:
            yield Problem(".valueCodeableConcept", "is required")
        yield from _components(content, _FINDING)

    return rule


def _phase(content: Json) -> Iterator[Problem]:
    yield from _named("82120-7")(content)
    if not any(
        system == terms.PHASE and code in terms.PHASES
        for system, code in _codings(content.get("valueCodeableConcept", {}))
    ):
        yield Problem(".valueCodeableConcept", "is not of the required value set")


def _biomarker(content: Json) -> Iterator[Problem]:
    yield from _once(content, _LABORATORY, (terms.TBD, "biomarker-category"))


def _report(content: Json) -> Iterator[Problem]:
    yield from _once(content, _GENETICS)
    yield from _code(content, (terms.LOINC, terms.REPORT_CODE))
    yield from _prohibited(content, ("effectivePeriod",))


def _study(content: Json) -> Iterator[Problem]:
    yield from _laboratory(content)
    yield from _prohibited(content, (*_STUDY_PROHIBITED, *_PERFORMED))


def _analysis(content: Json) -> Iterator[Problem]:
    yield from _laboratory(content)
    yield from _fixed(content, "status", "completed")
    yield from _prohibited(content, (*_ANALYSIS_PROHIBITED, *_PERFORMED))


def _laboratory(content: Json) -> Iterator[Problem]:
    if not _has(content.get("category", {}), _LABORATORY):
        yield Problem(".category", "must be laboratory")


def _recommendation(content: Json) -> Iterator[Problem]:
    yield from _fixed(content, "status", "requested")
    yield from _fixed(content, "intent", "proposal")
    # Ours: a recommendation that does not say what it recommends is of no use.
    if "code" not in content:
        yield Problem(".code", "is required")


def _medication(content: Json) -> Iterator[Problem]:
    yield from _recommendation(content)
    codes = {code for system, code in _codings(content.get("code", {})) if system == terms.LOINC}
    if not codes & terms.MEDICATION_ACTIONS:
        yield Problem(".code", "is not of the required value set")


def _meaning(name: str, rows: Sequence[Component]) -> tuple[str, str, Rule]:
    return name, "Observation", _implication(name, rows)


_RULES: tuple[tuple[str, str, Rule], ...] = (
    ("variant", "Observation", _variant),
    _meaning("diagnostic-implication", components.DIAGNOSTIC),
    _meaning("therapeutic-implication", components.THERAPEUTIC),
    _meaning("molecular-consequence", components.CONSEQUENCE),
    ("haplotype", "Observation", _named("84414-2")),
    ("genotype", "Observation", _named("84413-4")),
    ("sequence-phase-relationship", "Observation", _phase),
    ("molecular-biomarker", "Observation", _biomarker),
    ("genomic-report", "DiagnosticReport", _report),
    ("genomic-study", "Procedure", _study),
    ("genomic-study-analysis", "Procedure", _analysis),
    ("followup-recommendation", "Task", _recommendation),
    ("medication-recommendation", "Task", _medication),
)

PROFILES = {terms.profile(name): (type_, rule) for name, type_, rule in _RULES}
"""Profile to the type it constrains and its rule."""


def problems(content: Json) -> Iterator[Problem]:
    """Check the profiles that a resource claims; profiles not in the table are not checked."""
    for url in content.get("meta", {}).get("profile", ()):
        # A version after `|` does not change which rules there are: we have 3.0.0 only.
        type_, rule = PROFILES.get(str(url).partition("|")[0], ("", None))
        if rule is None:
            continue
        if content["resourceType"] != type_:
            yield Problem(".meta.profile", "is a profile of another type")
        else:
            yield from rule(content)
