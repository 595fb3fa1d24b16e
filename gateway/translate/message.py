"""One message and its sender's mapping to all that it means; every value accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import Hold, MissingField, MissingSegment, UnsupportedMessage
from gateway.message import Message
from gateway.report import (
    FINDINGS,
    Analysis,
    Code,
    Identifier,
    Order,
    Organization,
    Patient,
    PatientUpdate,
    Report,
    Specimen,
    Translation,
    Variant,
)
from gateway.translate import document, merge, order
from gateway.translate.apply import Scope
from gateway.translate.build import Findings
from gateway.translate.desk import Desk
from gateway.translate.findings import PROMOTED, FindingsReader
from gateway.translate.groups import merged_groups
from gateway.translate.mapping import SenderMapping

_ORDERS = frozenset({"ORM", "OML", "OMG"})
_PATIENT_EVENTS = frozenset({"A01", "A04", "A05", "A08", "A28", "A31"})
# What the status of a report says of an observation that has none of its own.
_OBSERVATION_STATUS = {
    "registered": "registered", "partial": "preliminary", "preliminary": "preliminary",
    "final": "final", "amended": "amended", "corrected": "corrected", "appended": "final",
    "cancelled": "cancelled", "entered-in-error": "entered-in-error",
}  # fmt: skip
_GENOMIC_TESTS = frozenset({"https://fhir.nhs.uk/CodeSystem/England-GenomicTestDirectory"})
# 48002-0: fetal, likely fetal.
_FETAL = frozenset({"LA10429-1", "LA18196-8"})
# The status of a report that has none, by what its observations say; the first that fits.
_TOGETHER = tuple(
    (frozenset(some.split()), status)
    for some, status in (
        ("final", "final"),
        ("preliminary registered", "preliminary"),
        ("preliminary registered final", "partial"),
        ("corrected final", "corrected"),
        ("amended final", "amended"),
        ("cancelled", "cancelled"),
    )
)


def translate(message: Message, mapping: SenderMapping) -> Translation:
    """Translate a result, order, patient or merge message; holds and warnings say where.

    Raises UnsupportedMessage for any other type.
    """
    desk = Desk(message, ZoneInfo(mapping.sender.time_zone), mapping.tables)
    kind, event = message.value("MSH-9.1"), message.value("MSH-9.2")
    if kind == "ORU" or (kind == "MDM" and event in document.EVENTS):
        reports = _reports(message, mapping, desk)
        return Translation(reports, (), tuple(desk.notices), desk.account())
    if kind == "ADT" and event in _PATIENT_EVENTS:
        update = _patient_update(Scope(message, desk), mapping, event)
        return Translation((), (update,), tuple(desk.notices), desk.account())
    if kind == "ADT" and event in merge.EVENTS:
        merged = merge.merges(message, mapping, event, desk)
        return Translation((), (), tuple(desk.notices), desk.account(), merges=merged)
    if kind == "ADT" and event in merge.LINKING:
        linked = merge.links(message, mapping, event, desk)
        return Translation((), (), tuple(desk.notices), desk.account(), links=linked)
    if kind in _ORDERS:
        asked = order.requests(message, mapping, desk)
        return Translation((), (), tuple(desk.notices), desk.account(), requests=asked)
    raise UnsupportedMessage(where="MSH-9")


def _reports(message: Message, mapping: SenderMapping, desk: Desk) -> tuple[Report, ...]:
    for name in ("PID", document.SEGMENT if document.is_document(message) else "OBR"):
        if message.first(name) is None:
            desk.hold_for(MissingSegment(f"a result needs {name}", where=name))
    patient, tested, _ = order.subject(
        order.read_patient(Scope(message, desk), mapping, "patient", "name")
    )
    number_rules = [rule for rule in mapping.rules["report"] if rule.field == "number"]

    def number(group: Message) -> str:
        quiet = Desk(message, desk.zone, mapping.tables)
        found = Scope(group, quiet).fill(number_rules).get("number")
        return found.value if found else ""

    made = [
        _report(Scope(group, desk), mapping, patient) for group in merged_groups(message, number)
    ]
    return tuple(_of_fetus(one) if tested == "fetus" else one for one in made if one)


def _of_fetus(report: Report) -> Report:
    """A patient named `fetus of …` is the mother: her report is of the fetus (safety.md 10)."""
    specimens = tuple(replace(one, tested_subject="fetus") for one in report.specimens)
    return replace(report, tested_subject="fetus", specimens=specimens)


def _report(scope: Scope, mapping: SenderMapping, patient: Patient) -> Report | None:
    desk = scope.desk
    sections = ("report", "order", "specimen", "analysis")
    fields = {name: scope.fill(mapping.rules[name]) for name in sections}
    document.read(scope, mapping, fields["report"])
    found = FindingsReader(scope, mapping).read()
    for section, values in found.fields.items():
        for name, value in values.items():
            _add(fields.setdefault(section, {}), name, value)
    report = fields["report"]
    if "number" not in report:
        desk.hold_for(MissingField("this report has no number", where="OBR-3"))
    _decide_status(scope, report, found)
    if "number" not in report or not report["status"]:
        return None
    return _built(scope, mapping, patient, fields, found)


def _built(
    scope: Scope,
    mapping: SenderMapping,
    patient: Patient,
    fields: Mapping[str, dict[str, Any]],
    found: Findings,
) -> Report:
    values = fields["report"]
    narrative = (*values.pop("narrative", ()), *found.narrative)
    number: Identifier = values.pop("number")
    values.setdefault("clock", values.get("issued") or "")
    specimen = fields["specimen"]
    status = _OBSERVATION_STATUS[values["status"]]
    values |= {name: _with_status(getattr(found, name), status) for name in FINDINGS}
    values.setdefault("tested_subject", _tested(fields["analysis"], found))
    if specimen:
        specimen.setdefault("tested_subject", values["tested_subject"])
    values.setdefault("genomic", _genomic(scope, mapping, fields, found))
    return Report(
        number=number,
        laboratory=values.pop("laboratory", None) or Organization(mapping.sender.name),
        patient=patient,
        narrative=narrative,
        order=Order(**fields["order"]),
        specimens=(Specimen(**specimen),) if specimen else (),
        analysis=_analysis(fields["analysis"], found.variants),
        recommendations=tuple(found.recommendations),
        attachments=tuple(found.attachments),
        record_class=mapping.sender.record_class,
        snapshot=mapping.sender.snapshot,
        **values,
    )


def _genomic(
    scope: Scope, mapping: SenderMapping, fields: Mapping[str, dict[str, Any]], found: Findings
) -> bool:
    """Whether a report is of genomics: as agreed, else as OBR-24, the test or its content says."""
    if mapping.sender.discipline != "mixed":
        return mapping.sender.discipline == "genomics"
    findings = any(getattr(found, name) for name in FINDINGS if name != "results")
    directory = fields["order"].get("test", Code()).system in _GENOMIC_TESTS
    section = any(one.raw(24).strip() == "GE" for one in scope.segments("OBR"))
    return findings or directory or section or bool(fields["analysis"])


def _tested(analysis: Mapping[str, Any], found: Findings) -> str:
    """Whose material was tested: a fetus where the message says so explicitly (safety.md 10)."""
    classes = [analysis.get("source_class", Code()), *(one.source_class for one in found.variants)]
    return "fetus" if any(one.code in _FETAL for one in classes) else "self"


def _with_status(findings: list[Any], status: str) -> tuple[Any, ...]:
    """Give a finding without a status of its own that of its report."""
    return tuple(one if one.status else replace(one, status=status) for one in findings)


def _add(values: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, tuple):
        values[name] = (*values.get(name, ()), *value)
    else:
        values.setdefault(name, value)


def _analysis(values: dict[str, Any], variants: list[Variant]) -> Analysis:
    """The study looked at least at the genes it found something in, on the build it names."""
    analysis = Analysis(**values)
    if analysis.genes_studied or not variants:
        return analysis
    genes: dict[str, Code] = {}
    for variant in variants:
        for gene in variant.genes:
            genes.setdefault(gene.text, gene)
    builds = {variant.assembly for variant in variants if variant.assembly}
    build = analysis.genome_build or (builds.pop() if len(builds) == 1 else Code())
    return replace(analysis, genes_studied=tuple(genes.values()), genome_build=build)


def _decide_status(scope: Scope, report: dict[str, Any], found: Findings) -> None:
    """What all observations say wins over OBR-25 where it withdraws or promotes (ingest 2.8)."""
    said = set(found.statuses)
    valued = any(segment.raw(5) for segment in scope.segments("OBX"))
    if said == {"entered-in-error"}:
        report["status"], report["status_from"] = "entered-in-error", "OBX-11"
    elif said == {PROMOTED} and not valued:
        report["status"], report["status_from"], report["promotes"] = "final", "OBX-11", True
    elif not report.get("status"):
        report["status"], report["status_from"] = _derived_status(found, scope.desk), "derived"


def _derived_status(found: Findings, desk: Desk) -> str:
    """Without OBR-25: what the observations say together; else a person decides."""
    said = {"final" if status == PROMOTED else status for status in found.statuses if status}
    for some, status in _TOGETHER:
        if said and said <= some:
            desk.warn("OBR-25", f"no report status: {status}, as the observations say")
            return status
    desk.hold("OBR-25", "no report status, and the observations do not tell", Hold.CODE)
    return ""


def patient_of(message: Message, mapping: SenderMapping) -> Patient:
    """Read the patient of any message with a PID, such as an answer to a query."""
    desk = Desk(message, ZoneInfo(mapping.sender.time_zone), mapping.tables)
    return order.read_patient(Scope(message, desk), mapping, "patient", "name")


def _patient_update(scope: Scope, mapping: SenderMapping, event: str) -> PatientUpdate:
    if scope.message.first("PID") is None:
        scope.desk.hold_for(MissingSegment("a patient message needs PID", where="PID"))
    patient = order.read_patient(scope, mapping, "patient", "name")
    feed = scope.fill(mapping.rules["feed"])
    cleared = {
        rule.field
        for section in ("patient", "name")
        for rule in mapping.rules[section]
        for path in rule.paths
        for segment in scope.segments(path.segment)
        if scope.message.piece(segment.raw(path.field), path.component) == '""'
    }
    mother = order.read_mother(scope, mapping)
    return PatientUpdate(patient, event, feed.get("clock", ""), frozenset(cleared), mother)
