"""Every search parameter, once: extraction, the SQL compiler and the CapabilityStatement read this.

A parameter that is not here is not searchable and is not advertised. `number` is stored in the
index rows: it is never changed and never used again. `paths` are plain element paths from the
resource; a choice element has one path per type we store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """The search parameter types of FHIR that we compile."""

    TOKEN = "token"  # noqa: S105 - a kind of parameter, no password
    REFERENCE = "reference"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type.

    `targets` are the types a reference may point to. `patient` marks the reference that says
    whose record it is: it compiles to the patient of the row, so that it follows merges.
    `system` is what a bare code means. `needs_system` refuses a token without a system.
    """

    number: int
    type: str
    name: str
    kind: Kind
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()
    patient: bool = False
    system: str = ""
    needs_system: bool = False


SHARED = frozenset({"Organization", "Practitioner", "PractitionerRole"})
"""Types that belong to no patient; a row of any other type must name one."""

READ_ONLY = frozenset({"Binary"})
"""Types that can be read but not searched."""

COMMON = ("_id", "_lastUpdated")
"""Parameters of every searchable type; they are columns of the resource row."""

_HL7 = "http://hl7.org/fhir/"
_PATIENT = ("Patient",)


def _tokens(type_: str, rows: Mapping[int, tuple[str, str]]) -> Iterator[Parameter]:
    for number, (name, path) in rows.items():
        yield Parameter(number, type_, name, Kind.TOKEN, (path,))


def _status(number: int, type_: str, value_set: str) -> Parameter:
    return Parameter(number, type_, "status", Kind.TOKEN, ("status",), system=_HL7 + value_set)


def _dates(number: int, type_: str, name: str, *paths: str) -> Parameter:
    return Parameter(number, type_, name, Kind.DATE, paths)


def _reference(number: int, type_: str, name: str, path: str, *targets: str) -> Parameter:
    return Parameter(number, type_, name, Kind.REFERENCE, (path,), targets)


def _whose(number: int, type_: str, path: str = "subject") -> Iterator[Parameter]:
    names = ("patient", "subject") if path == "subject" else ("patient",)
    for name in names:
        yield Parameter(number, type_, name, Kind.REFERENCE, (path,), _PATIENT, patient=True)


def _all() -> Iterator[Parameter]:
    yield Parameter(1, "Patient", "identifier", Kind.TOKEN, ("identifier",), needs_system=True)
    yield _dates(2, "Patient", "birthdate", "birthDate")
    yield Parameter(
        3, "Patient", "gender", Kind.TOKEN, ("gender",), system=_HL7 + "administrative-gender"
    )

    report = "DiagnosticReport"
    yield from _whose(10, report)
    yield from _tokens(
        report,
        {11: ("identifier", "identifier"), 12: ("code", "code"), 13: ("category", "category")},
    )
    yield _status(14, report, "diagnostic-report-status")
    yield _dates(15, report, "date", "effectiveDateTime", "effectivePeriod")
    yield _dates(16, report, "issued", "issued")
    yield _reference(17, report, "based-on", "basedOn", "ServiceRequest")
    yield _reference(18, report, "specimen", "specimen", "Specimen")
    yield _reference(19, report, "result", "result", "Observation")
    yield _reference(
        20, report, "performer", "performer", "Organization", "Practitioner", "PractitionerRole"
    )

    observation = "Observation"
    yield from _whose(30, observation)
    yield from _tokens(
        observation,
        {31: ("identifier", "identifier"), 32: ("code", "code"), 33: ("category", "category")},
    )
    yield _status(34, observation, "observation-status")
    yield _dates(35, observation, "date", "effectiveDateTime", "effectivePeriod")
    yield _reference(36, observation, "derived-from", "derivedFrom", observation)
    yield _reference(37, observation, "specimen", "specimen", "Specimen")
    yield _reference(38, observation, "has-member", "hasMember", observation)

    order = "ServiceRequest"
    yield from _whose(50, order)
    yield from _tokens(order, {51: ("identifier", "identifier"), 52: ("code", "code")})
    yield _status(53, order, "request-status")
    yield _dates(54, order, "authored", "authoredOn")
    yield _reference(55, order, "specimen", "specimen", "Specimen")
    yield _reference(
        56, order, "requester", "requester", "Organization", "Practitioner", "PractitionerRole"
    )

    yield from _whose(60, "Specimen")
    yield from _tokens(
        "Specimen",
        {
            61: ("identifier", "identifier"),
            62: ("accession", "accessionIdentifier"),
            63: ("type", "type"),
        },
    )
    yield _status(64, "Specimen", "specimen-status")
    yield _dates(
        65, "Specimen", "collected", "collection.collectedDateTime", "collection.collectedPeriod"
    )

    yield from _whose(70, "Procedure")
    yield from _tokens("Procedure", {71: ("identifier", "identifier"), 72: ("code", "code")})
    yield _status(73, "Procedure", "event-status")
    yield _dates(74, "Procedure", "date", "performedDateTime", "performedPeriod")
    yield _reference(75, "Procedure", "based-on", "basedOn", order)

    yield from _whose(80, "Task", "for")
    yield from _tokens("Task", {81: ("identifier", "identifier"), 82: ("code", "code")})
    yield _status(83, "Task", "task-status")
    yield _dates(84, "Task", "authored-on", "authoredOn")
    yield _reference(85, "Task", "focus", "focus", report, order)
    yield _reference(86, "Task", "based-on", "basedOn", order)

    yield from _documents()
    yield _reference(
        90,
        "Provenance",
        "target",
        "target",
        *_PATIENT,
        report,
        observation,
        order,
        "Specimen",
        "Procedure",
        "Task",
        "Organization",
        "Practitioner",
        "Binary",
        "DocumentReference",
    )
    yield _dates(91, "Provenance", "recorded", "recorded")

    for number, type_ in ((100, "Organization"), (110, "Practitioner"), (120, "PractitionerRole")):
        yield from _tokens(type_, {number: ("identifier", "identifier")})
    yield _reference(121, "PractitionerRole", "practitioner", "practitioner", "Practitioner")
    yield _reference(122, "PractitionerRole", "organization", "organization", "Organization")


def _documents() -> Iterator[Parameter]:
    document = "DocumentReference"
    yield from _whose(130, document)
    yield Parameter(131, document, "identifier", Kind.TOKEN, ("masterIdentifier", "identifier"))
    yield from _tokens(document, {132: ("type", "type"), 135: ("security-label", "securityLabel")})
    yield _status(133, document, "document-reference-status")
    yield _dates(134, document, "date", "date")
    yield _reference(136, document, "related", "context.related", "DiagnosticReport")
    yield _reference(137, document, "relatesto", "relatesTo.target", document)


def _by_type() -> Mapping[str, Mapping[str, Parameter]]:
    table: dict[str, dict[str, Parameter]] = defaultdict(dict)
    for parameter in _all():
        table[parameter.type][parameter.name] = parameter
    return MappingProxyType({type_: MappingProxyType(rows) for type_, rows in table.items()})


PARAMETERS = _by_type()
"""type → name → Parameter."""

TYPES = frozenset(PARAMETERS) | READ_ONLY
"""Every resource type that can be stored and served."""


def indexed(type_: str) -> tuple[Parameter, ...]:
    """Return the parameters whose values are indexed for a type, each number once."""
    return tuple({p.number: p for p in PARAMETERS.get(type_, {}).values()}.values())
