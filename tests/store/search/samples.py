"""One invented resource of each type that has a value for every search parameter."""

from __future__ import annotations

from typing import Any

CODE = {"coding": [{"system": "urn:s", "code": "1"}, {"code": "2"}], "text": "Words"}
IDENTIFIERS = [{"system": "urn:s", "value": "1"}, {"value": "2"}]
PATIENT = {"reference": "Patient/p"}
META = {
    "profile": ["urn:profile:1", "urn:profile:2"],
    "tag": [{"system": "urn:s", "code": "t"}],
    "security": [{"code": "R"}],
}
NAME = [{"family": "Testpatiént", "given": ["Morag", "Ailsa"], "prefix": ["Dr"]}, {"text": "Mo"}]
ADDRESS = [
    {
        "use": "home", "line": ["1 High Street"], "city": "Dundee", "state": "Tayside",
        "postalCode": "DD1 1AA", "country": "GB",
    }
]  # fmt: skip
TELECOM = [
    {"system": "phone", "value": "01382 000000"},
    {"system": "email", "value": "m@example.org"},
]
AMOUNT = {"value": 5.4, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}


def _to(*places: str) -> list[dict[str, str]]:
    return [{"reference": place} for place in places]


_ALL: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Patient", "identifier": IDENTIFIERS, "birthDate": "1962-01",
        "gender": "female", "deceasedDateTime": "2025-01-01", "active": True,
        "communication": [{"language": CODE}], "generalPractitioner": _to("Organization/o"),
        "managingOrganization": _to("Organization/o")[0], "name": NAME, "address": ADDRESS,
        "telecom": TELECOM,
    },
    {
        "resourceType": "DiagnosticReport", "identifier": IDENTIFIERS, "subject": PATIENT,
        "status": "final", "code": CODE, "category": [CODE, CODE],
        "issued": "2025-01-01T10:00:00Z", "effectivePeriod": {"start": "2025", "end": "2025-06"},
        "basedOn": [*_to("ServiceRequest/s"), {"display": "words"}],
        "specimen": _to("Specimen/s"), "performer": _to("Organization/o"),
        "result": _to("Observation/a", "Observation/b"), "conclusionCode": [CODE],
        "resultsInterpreter": _to("Practitioner/p"),
    },
    {
        "resourceType": "Observation", "identifier": IDENTIFIERS, "subject": PATIENT,
        "status": "final", "code": CODE, "category": [CODE], "effectiveDateTime": "2025-03-12",
        "derivedFrom": _to("Observation/a"), "specimen": _to("Specimen/s")[0],
        "hasMember": _to("Observation/b"), "method": CODE, "dataAbsentReason": CODE,
        "valueCodeableConcept": CODE, "basedOn": _to("ServiceRequest/s"),
        "performer": _to("Organization/o"), "partOf": _to("Procedure/p"),
        "component": [
            {"code": CODE, "valueCodeableConcept": CODE},
            {"code": CODE, "valueQuantity": AMOUNT},
            {"code": CODE, "dataAbsentReason": CODE},
        ],
    },
    {"resourceType": "Observation", "code": CODE, "valueQuantity": AMOUNT},
    {"resourceType": "Observation", "code": CODE, "valueDateTime": "2025-03"},
    {"resourceType": "Observation", "code": CODE, "valueString": "A word"},
    {
        "resourceType": "ServiceRequest", "identifier": IDENTIFIERS, "subject": PATIENT,
        "status": "active", "code": CODE, "authoredOn": "2025-03", "specimen": _to("Specimen/s"),
        "requester": _to("Practitioner/p")[0], "category": [CODE], "requisition": IDENTIFIERS[0],
        "performerType": CODE, "intent": "order", "priority": "stat",
        "occurrenceDateTime": "2025-04", "basedOn": _to("ServiceRequest/r"),
        "performer": _to("Organization/o"), "replaces": _to("ServiceRequest/r"),
    },
    {
        "resourceType": "Specimen", "identifier": IDENTIFIERS, "subject": PATIENT, "type": CODE,
        "status": "available", "accessionIdentifier": IDENTIFIERS[0], "parent": _to("Specimen/p"),
        "collection": {
            "collectedDateTime": "2025-03-12T10:00:00+01:00", "bodySite": CODE,
            "collector": _to("Practitioner/p")[0],
        },
    },
    {
        "resourceType": "Procedure", "identifier": IDENTIFIERS, "subject": PATIENT, "code": CODE,
        "status": "completed", "performedDateTime": "2025", "basedOn": _to("ServiceRequest/s"),
        "category": CODE, "reasonCode": [CODE], "partOf": _to("Procedure/q"),
        "performer": [{"actor": _to("Practitioner/p")[0]}],
        "reasonReference": _to("Observation/o"),
    },
    {
        "resourceType": "Task", "identifier": IDENTIFIERS, "for": PATIENT, "code": CODE,
        "status": "requested", "authoredOn": "2025-03-12", "focus": _to("DiagnosticReport/r")[0],
        "basedOn": _to("ServiceRequest/s"), "groupIdentifier": IDENTIFIERS[0],
        "businessStatus": CODE, "performerType": [CODE], "intent": "order", "priority": "routine",
        "lastModified": "2025-03-13", "executionPeriod": {"start": "2025-03-12"},
        "owner": _to("Organization/o")[0], "requester": _to("Practitioner/p")[0],
        "partOf": _to("Task/t"),
    },
    {
        "resourceType": "DocumentReference", "masterIdentifier": {"system": "urn:s", "value": "0"},
        "identifier": IDENTIFIERS, "subject": PATIENT, "status": "current", "type": CODE,
        "category": [CODE], "securityLabel": [CODE], "date": "2025-03-12T10:00:00Z",
        "relatesTo": [{"code": "replaces", "target": _to("DocumentReference/d")[0]}],
        "context": {
            "related": _to("DiagnosticReport/r"), "event": [CODE], "facilityType": CODE,
            "practiceSetting": CODE, "period": {"start": "2025"},
        },
        "content": [
            {
                "format": {"system": "urn:s", "code": "f"},
                "attachment": {
                    "contentType": "application/pdf", "language": "en", "url": "Binary/b",
                },
            }
        ],
        "description": "A letter", "author": _to("Practitioner/p"),
        "authenticator": _to("Practitioner/p")[0], "custodian": _to("Organization/o")[0],
    },
    {
        "resourceType": "Provenance", "target": _to("DiagnosticReport/r", "Patient/p"),
        "recorded": "2025-03-12T10:00:00.123Z", "occurredDateTime": "2025-03-12",
        "agent": [{"role": [CODE], "type": CODE, "who": _to("Organization/o")[0]}],
        "entity": [{"role": "source", "what": _to("Binary/b")[0]}],
    },
    {
        "resourceType": "Organization", "identifier": IDENTIFIERS, "active": False,
        "type": [CODE], "name": "Genetics", "alias": ["Lab"], "partOf": _to("Organization/q")[0],
        "address": ADDRESS,
    },
    {
        "resourceType": "Practitioner", "identifier": IDENTIFIERS, "active": True,
        "gender": "male", "name": NAME, "telecom": TELECOM,
    },
    {
        "resourceType": "PractitionerRole", "identifier": IDENTIFIERS, "code": [CODE],
        "specialty": [CODE], "active": True, "practitioner": _to("Practitioner/p")[0],
        "organization": _to("Organization/o")[0], "period": {"start": "2025"}, "telecom": TELECOM,
    },
)  # fmt: skip
SAMPLES = tuple({**one, "meta": META} for one in _ALL)

# The published expression of each parameter that is not simply Type.name in camel case. `as` is
# written ofType, which the oracle also takes for several elements.
EXPRESSIONS = {
    "DiagnosticReport.date": "DiagnosticReport.effective",
    "DiagnosticReport.conclusion": "DiagnosticReport.conclusionCode",
    "Observation.date": "Observation.effective",
    "Observation.component-code": "Observation.component.code",
    "Observation.component-data-absent-reason": "Observation.component.dataAbsentReason",
    "Observation.component-value-concept": "Observation.component.value.ofType(CodeableConcept)",
    "Observation.component-value-quantity": "Observation.component.value.ofType(Quantity)",
    "Observation.value-concept": "Observation.value.ofType(CodeableConcept)",
    "Observation.value-quantity": "Observation.value.ofType(Quantity)",
    "Observation.value-date": (
        "Observation.value.ofType(dateTime) | Observation.value.ofType(Period)"
    ),
    "Observation.value-string": (
        "Observation.value.ofType(string) | Observation.value.ofType(CodeableConcept).text"
    ),
    "Procedure.date": "Procedure.performed",
    "Procedure.performer": "Procedure.performer.actor",
    "Specimen.collected": "Specimen.collection.collected",
    "Specimen.collector": "Specimen.collection.collector",
    "Specimen.bodysite": "Specimen.collection.bodySite",
    "Specimen.accession": "Specimen.accessionIdentifier",
    "ServiceRequest.authored": "ServiceRequest.authoredOn",
    "ServiceRequest.occurrence": "ServiceRequest.occurrence",
    "Task.subject": "Task.for",
    "Task.modified": "Task.lastModified",
    "Task.performer": "Task.performerType",
    "Task.period": "Task.executionPeriod",
    "Patient.birthdate": "Patient.birthDate",
    "Patient.death-date": "Patient.deceased.ofType(dateTime)",
    "Patient.language": "Patient.communication.language",
    "Patient.organization": "Patient.managingOrganization",
    "Patient.family": "Patient.name.family",
    "Patient.given": "Patient.name.given",
    "Practitioner.family": "Practitioner.name.family",
    "Practitioner.given": "Practitioner.name.given",
    "Organization.name": "Organization.name | Organization.alias",
    "Organization.partof": "Organization.partOf",
    "PractitionerRole.role": "PractitionerRole.code",
    "PractitionerRole.date": "PractitionerRole.period",
    "DocumentReference.identifier": (
        "DocumentReference.masterIdentifier | DocumentReference.identifier"
    ),
    "DocumentReference.related": "DocumentReference.context.related",
    "DocumentReference.event": "DocumentReference.context.event",
    "DocumentReference.facility": "DocumentReference.context.facilityType",
    "DocumentReference.setting": "DocumentReference.context.practiceSetting",
    "DocumentReference.period": "DocumentReference.context.period",
    "DocumentReference.format": "DocumentReference.content.format",
    "DocumentReference.contenttype": "DocumentReference.content.attachment.contentType",
    "DocumentReference.language": "DocumentReference.content.attachment.language",
    "DocumentReference.location": "DocumentReference.content.attachment.url",
    "DocumentReference.relation": "DocumentReference.relatesTo.code",
    "DocumentReference.relatesto": "DocumentReference.relatesTo.target",
    # As long as nothing else says what a reference leads to.
    "Provenance.patient": "Provenance.target",
    "Provenance.when": "Provenance.occurred",
    "Provenance.agent": "Provenance.agent.who",
    "Provenance.agent-role": "Provenance.agent.role",
    "Provenance.agent-type": "Provenance.agent.type",
    "Provenance.entity": "Provenance.entity.what",
    **{
        f"{type_}.address-{name}": f"{type_}.address.{element}"
        for type_ in ("Patient", "Organization")
        for name, element in (
            ("city", "city"), ("country", "country"), ("postalcode", "postalCode"),
            ("state", "state"), ("use", "use"),
        )
    },
    **{
        f"{type_}.{name}": f"{type_}.telecom.where(system='{name}')"
        for type_ in ("Patient", "Practitioner", "PractitionerRole")
        for name in ("phone", "email")
    },
}  # fmt: skip


def expression(type_: str, name: str) -> str:
    """Return the published FHIRPath expression of a parameter."""
    if name.startswith("_"):
        return f"{type_}.meta.{name[1:]}"
    if name == "patient" and type_ != "Provenance":
        name = "subject"
    first, *rest = name.split("-")
    plain = first + "".join(word.title() for word in rest)
    return EXPRESSIONS.get(f"{type_}.{name}", f"{type_}.{plain}")
