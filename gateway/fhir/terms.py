"""Systems, codes and small constructors for plain FHIR JSON (domain.md 1.0, 1.8, 1.9, 3.2).

Constructors leave out what is empty: FHIR has no empty element. Numbers stay `Decimal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.report import Code, Identifier, PersonName, Quantity, Range

Json = dict[str, Any]

FHIR_VERSION = "4.0.1"
GR = "http://hl7.org/fhir/uv/genomics-reporting"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
HGVS = "http://varnomen.hgvs.org"
ISCN = "https://iscn.karger.com"
HGNC = "http://www.genenames.org"
REFSEQ = "http://www.ncbi.nlm.nih.gov/refseq"
TBD = f"{GR}/CodeSystem/tbd-codes-cs"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
SECTION = f"{_TERMINOLOGY}v2-0074"
IDENTIFIER_TYPE = f"{_TERMINOLOGY}v2-0203"
OBSERVATION_CATEGORY = f"{_TERMINOLOGY}observation-category"
CONFIDENCE = f"{_TERMINOLOGY}variant-confidence-status-cs"
PARTICIPANT = f"{_TERMINOLOGY}provenance-participant-type"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
HSC_NUMBER = "https://fhir.nhs.uk/Id/hsc-number"

REPORT_CODE = "51969-4"
REPORT_SNOMED = "1054161000000101"
MITOCHONDRION = "NC_012920.1"

PRESENCE = {
    "LA9633-4": "Present",
    "LA9634-2": "Absent",
    "LA18198-4": "No call",
    "LA11884-6": "Indeterminate",
}
ABSENT = "LA9634-2"
UNCERTAIN_SIGNIFICANCE = "LA26333-7"
PHASE = f"{_TERMINOLOGY}sequence-phase-relationship-cs"
PHASES = frozenset({"Cis", "Trans", "Indeterminate", "Unknown"})
MEDICATION_ACTIONS = frozenset(("LA26421-0", "LA26422-8", "LA26423-6", "LA26424-4", "LA26425-1"))
CONFIDENCES = ("high", "intermediate", "low")

CHROMOSOMES = {
    "1": "LA21254-0",
    "2": "LA21255-7",
    "3": "LA21256-5",
    "4": "LA21257-3",
    "5": "LA21258-1",
    "6": "LA21259-9",
    "7": "LA21260-7",
    "8": "LA21261-5",
    "9": "LA21262-3",
    "10": "LA21263-1",
    "11": "LA21264-9",
    "12": "LA21265-6",
    "13": "LA21266-4",
    "14": "LA21267-2",
    "15": "LA21268-0",
    "16": "LA21269-8",
    "17": "LA21270-6",
    "18": "LA21271-4",
    "19": "LA21272-2",
    "20": "LA21273-0",
    "21": "LA21274-8",
    "22": "LA21275-5",
    "X": "LA21276-3",
    "Y": "LA21277-1",
}
"""Chromosome name to LL2938-0 answer: the whole required list, without a mitochondrial code."""


def profile(name: str) -> str:
    """Return the canonical of a Genomics Reporting StructureDefinition."""
    return f"{GR}/StructureDefinition/{name}"


def resource(type_: str, *profiles: str) -> Json:
    """Start a resource that claims these Genomics Reporting profiles."""
    made: Json = {"resourceType": type_}
    if profiles:
        made["meta"] = {"profile": [profile(name) for name in profiles]}
    return made


def put(target: Json, values: Mapping[str, Any]) -> Json:
    """Set every element that has a value; what is empty is left out."""
    for name, value in values.items():
        if value or value == 0:
            target[name] = value
    return target


def coding(system: str, code: str, display: str = "") -> Json:
    """Make a Coding."""
    if display:
        return {"system": system, "code": code, "display": display}
    return {"system": system, "code": code}


def concept(system: str, code: str, display: str = "") -> Json:
    """Make a CodeableConcept with one coding."""
    return {"coding": [coding(system, code, display)]}


def codeable(code: Code) -> Json:
    """Make a CodeableConcept: the sender's words as text, and the codings that have a system."""
    codings = [coding(code.system, code.code, code.display)] if code.code and code.system else []
    if code.also:
        codings += [
            coding(one.system, one.code, one.display)
            for one in code.also
            if one.code and one.system
        ]
    made: Json = {"coding": codings} if codings else {}
    # A code without a system identifies nothing: it may only be shown.
    text = code.text or ("" if codings else code.display or code.code)
    if text:
        made["text"] = text
    return made


def codeables(codes: Iterable[Code]) -> list[Json]:
    """Make a list of CodeableConcepts of the codes that say something."""
    return [codeable(code) for code in codes if code]


def identifier(given: Identifier, type_: str = "") -> Json:
    """Make an Identifier, typed with a v2-0203 code when one is given."""
    return put(
        {},
        {
            "type": concept(IDENTIFIER_TYPE, type_) if type_ else None,
            "system": given.system,
            "value": given.value,
            "assigner": {"display": given.authority} if given.authority else None,
        },
    )


def human_name(name: PersonName) -> Json:
    """Make a HumanName, or an empty object when nothing is known."""
    return put(
        {},
        {
            "family": name.family,
            "given": [given for given in name.given if given],
            "prefix": [name.prefix] if name.prefix else None,
        },
    )


def full_name(name: PersonName) -> str:
    """Write a name for people: prefix, given names, family name."""
    return " ".join(part for part in (name.prefix, *name.given, name.family) if part)


def reference(target: str) -> Json:
    """Make a literal Reference."""
    return {"reference": target}


def references(targets: Iterable[str]) -> list[Json]:
    """Make literal References."""
    return [{"reference": target} for target in targets]


def quantity(given: Quantity, ucum: str = "") -> Json:
    """Make a Quantity; `ucum` is the code when the sender's unit has none."""
    made: Json = {"value": given.value}
    if given.comparator:
        made["comparator"] = given.comparator
    return _in_unit(made, given.unit, given.ucum or ucum)


def value_range(given: Range) -> Json:
    """Make a Range; an open end is left out."""
    made: Json = {}
    if given.low is not None:
        made["low"] = _in_unit({"value": given.low}, given.unit, given.ucum)
    if given.high is not None:
        made["high"] = _in_unit({"value": given.high}, given.unit, given.ucum)
    return made


def _in_unit(made: Json, unit: str, code: str) -> Json:
    if unit:
        made["unit"] = unit
    if code:
        made["system"] = UCUM
        made["code"] = code
    return made


def extension(url: str, kind: str, value: Any) -> Json:
    """Make a simple Extension, `kind` such as `valueReference`."""
    return {"url": url, kind: value}
