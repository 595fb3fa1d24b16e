"""Audit events as AuditEvent resources (R4), by IHE Basic Audit Log Patterns 1.1 (BALP).

A profile is claimed where BALP has one for what happened and the event says all that it asks
for: BALP describes successes, so a refusal claims none. An event that concerns several patients
is one resource with each of them, and claims the pattern without a patient.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.fhir import terms
from gateway.fhir.terms import Json
from gateway.store.audit.event import Event
from gateway.store.dates import instant_text

BALP = "https://profiles.ihe.net/ITI/BALP"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REST = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_TYPES = "http://hl7.org/fhir/resource-types"
_USER_AGENT = f"{BALP}/CodeSystem/UserAgentTypes"
_RESOURCE = re.compile(
    r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]+)?", re.ASCII
)
_JTI = "urn:ietf:params:oauth:jti:"


@dataclass(frozen=True, slots=True)
class Kind:
    """What an interaction is in FHIR: type and subtype (system, code, display), action, pattern."""

    type: tuple[str, str, str]
    subtype: tuple[str, str, str]
    action: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event, the id of its resource, the ids of the patients it concerns, and who recorded it.

    `base` is the FHIR base URL of this installation.
    """

    id: str
    event: Event
    patients: tuple[str, ...]
    base: str


def _rest(code: str, action: str, pattern: str = "") -> Kind:
    return Kind((_REST, "rest", "RESTful Operation"), (_INTERACTION, code, ""), action, pattern)


def _security(code: str, display: str, action: str = "E") -> Kind:
    alert = (_DCM, "110113", "Security Alert")
    return Kind(alert, (_DCM, code, display), action)


def _sign(code: str, display: str) -> Kind:
    return Kind((_DCM, "110114", "User Authentication"), (_DCM, code, display), "E")


def _own(type_: tuple[str, str, str], action: str) -> Kind:
    return Kind(type_, ("", "", ""), action)


_USER = (_DCM, "110114", "User Authentication")
_ALERT = (_DCM, "110113", "Security Alert")
_RECORD = (_DCM, "110110", "Patient Record")
_LOG_USED = (_DCM, "110101", "Audit Log Used")
_EXPORT = (_DCM, "110106", "Export")
_TOKEN = ("urn:ihe:event-type-code", "ITI-71", "Get Access Token")

KINDS: dict[str, Kind] = {
    "read": _rest("read", "R", "Read"),
    "vread": _rest("vread", "R", "Read"),
    "history-instance": _rest("history-instance", "R"),
    "history-type": _rest("history-type", "R"),
    "history-system": _rest("history-system", "R"),
    "search-type": _rest("search-type", "E", "Query"),
    "search-system": _rest("search-system", "E", "Query"),
    "create": _rest("create", "C", "Create"),
    "update": _rest("update", "U", "Update"),
    "patch": _rest("patch", "U", "Update"),
    "delete": _rest("delete", "D", "Delete"),
    "batch": _rest("batch", "E"),
    "transaction": _rest("transaction", "E"),
    "operation": _rest("operation", "E"),
    "export": Kind(_EXPORT, (_LIFECYCLE, "disclose", ""), "R", "PrivacyDisclosure.Source"),
    "backup": _own(_EXPORT, "R"),
    "restore": _own((_DCM, "110107", "Import"), "C"),
    "token": Kind(_USER, _TOKEN, "E"),
    "refresh": Kind(_USER, _TOKEN, "E"),
    "authorize": _own(_USER, "E"),
    "launch": _own(_USER, "E"),
    "introspect": _own(_USER, "E"),
    "revoke": _own(_USER, "E"),
    "sign-in": _sign("110122", "Login"),
    "sign-out": _sign("110123", "Logout"),
    "break-glass": _security("110127", "Emergency Override Started"),
    "grant": _security("110137", "User Security Attributes Changed", "U"),
    "register": _security("110137", "User Security Attributes Changed", "C"),
    "refusal": _own(_ALERT, "E"),
    "release": _own(_RECORD, "U"),
    "reject": _own(_RECORD, "U"),
    "replay": _own(_RECORD, "U"),
    "unmerge": _own(_RECORD, "U"),
    "audit-search": _own(_LOG_USED, "R"),
    "audit-export": _own(_LOG_USED, "R"),
}  # fmt: skip
_OTHER = _own((_DCM, "110100", "Application Activity"), "E")


def interactions(*, action: str = "", type_: str = "", subtype: str = "") -> tuple[str, ...]:
    """Return the interactions that have an action, and a type or subtype, by code."""
    return tuple(
        name for name, kind in KINDS.items()
        if action in ("", kind.action) and type_ in ("", kind.type[1])
        and subtype in ("", kind.subtype[1], name)
    )  # fmt: skip


def audit_event(recorded: Recorded) -> Json:
    """Write one event as an AuditEvent."""
    event = recorded.event
    kind = KINDS.get(event.interaction.partition(":")[0], _OTHER)
    observer = _observer(recorded.base)
    profile = _profile(recorded, kind)
    return terms.put(
        {"resourceType": "AuditEvent", "id": recorded.id},
        {
            "meta": {"profile": [profile]} if profile else None,
            "type": terms.coding(*kind.type),
            "subtype": _subtypes(event, kind, recorded.base),
            "action": kind.action,
            "recorded": instant_text(event.time),
            "outcome": _outcome(event.status),
            "outcomeDesc": event.detail or (f"HTTP {event.status}" if event.status >= 400 else ""),
            "purposeOfEvent": [_purpose(event)] if event.purpose else None,
            "agent": list(_agents(event, kind, observer, recorded.base)),
            "source": {
                "site": recorded.base,
                "observer": observer,
                "type": [terms.coding(_SOURCE, "4", "Application Server")],
            },
            "entity": list(_entities(recorded, kind)),
        },
    )


def _profile(recorded: Recorded, kind: Kind) -> str:
    """Return the BALP profile of an event; empty where it has none, or asks for more."""
    event, alone = recorded.event, len(recorded.patients) == 1
    if event.status >= 400 or not event.address or not event.client:
        return ""
    if kind.subtype == _TOKEN:
        return f"{BALP}/StructureDefinition/IHE.IUA.71" if event.query else ""
    if kind.pattern == "PrivacyDisclosure.Source":
        whole = alone and bool(event.returned or _RESOURCE.fullmatch(event.target))
        return f"{BALP}/StructureDefinition/IHE.BasicAudit.{kind.pattern}" if whole else ""
    if not kind.pattern or (kind.pattern != "Query" and not _data(event)):
        return ""
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' * alone}{kind.pattern}"


def _subtypes(event: Event, kind: Kind, base: str) -> list[Json]:
    name, _, operation = event.interaction.partition(":")
    found = [terms.coding(*kind.subtype)] if kind.subtype[1] else []
    if operation or not found or (kind.subtype == _TOKEN and name == "refresh"):
        found.append(terms.coding(f"{base}/CodeSystem/audit-interaction", operation or name, ""))
    return found[:1] if kind.subtype == _TOKEN else found


def _outcome(status: int) -> str:
    if status < 400:
        return "0"
    return "4" if status < 500 else "8"


def _agents(event: Event, kind: Kind, observer: Json, base: str) -> Iterable[Json]:
    person = bool(event.person or event.subject)
    client, server = _agent_types(kind)
    if event.client or event.address or not person:
        who = {"identifier": {"system": f"{base}/clients", "value": event.client}}
        yield terms.put(
            {"type": client, "who": who if event.client else {"display": "unknown"}},
            {
                "requestor": not person,
                "policy": [f"{_JTI}{event.token}"] if event.token else None,
                "network": _network(event.address),
            },
        )
    yield {"type": server, "who": observer, "requestor": False,
           "network": {"address": base, "type": "5"}}  # fmt: skip
    if person:
        yield _user(event, kind, base)


def _user(event: Event, kind: Kind, base: str) -> Json:
    who = {"identifier": {"system": f"{base}/people", "value": event.person}}
    written = kind.pattern in ("Create", "Update", "Delete")
    code, display = ("AUT", "author (originator)") if written else ("IRCP", "information recipient")
    return terms.put(
        {"type": {"coding": [terms.coding(_PARTICIPATION, code, display)]}},
        {
            "who": who if event.person else {"display": event.subject},
            "name": event.subject,
            "requestor": True,
            "purposeOfUse": [_purpose(event)] if event.purpose else None,
        },
    )


def _agent_types(kind: Kind) -> tuple[Json, Json]:
    """Return the types of client and server: whoever the data comes from is the source."""
    source, destination = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
    if kind.subtype == _TOKEN:
        service = {"coding": [terms.coding(_USER_AGENT, "AuthzOauthService", "")]}
        return {"coding": [terms.coding(_DCM, "110150", "Application")]}, service
    read = kind.pattern in ("Read", "PrivacyDisclosure.Source")
    client, server = (destination, source) if read else (source, destination)
    return {"coding": [terms.coding(_DCM, *client)]}, {"coding": [terms.coding(_DCM, *server)]}


def _network(address: str) -> Json | None:
    if not address:
        return None
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return {"address": address, "type": "1"}
    return {"address": address, "type": "2"}


def _entities(recorded: Recorded, kind: Kind) -> Iterable[Json]:
    event = recorded.event
    for id_ in () if kind.subtype == _TOKEN else recorded.patients:
        yield {
            "what": {"reference": f"Patient/{id_}"},
            "type": terms.coding(_ENTITY, "1", "Person"),
            "role": terms.coding(_ROLE, "1", "Patient"),
        }
    if kind.pattern == "Query" or event.query:
        yield _query(event)
    if kind.subtype == _TOKEN:
        return
    if data := _data(event) if kind.pattern != "Query" else "":
        yield _object(data, kind)
    # What a search returned is typed by what it is: a second System Object breaks the pattern.
    for reference in event.returned:
        if reference != data and _RESOURCE.fullmatch(reference):
            type_ = reference.partition("/")[0]
            yield {"what": {"reference": reference}, "type": terms.coding(_TYPES, type_, type_),
                   "role": terms.coding(_ROLE, "4", "Domain Resource")}  # fmt: skip
    if not data and not event.query and event.target:
        yield {"type": terms.coding(_ENTITY, "4", "Other"), "name": event.target}


def _data(event: Event) -> str:
    """Return the one resource that was acted on: the version handed over, else the target."""
    if len(event.returned) == 1 and _RESOURCE.fullmatch(event.returned[0]):
        return event.returned[0]
    return event.target if _RESOURCE.fullmatch(event.target) else ""


def _object(reference: str, kind: Kind) -> Json:
    report = kind.pattern == "PrivacyDisclosure.Source"
    role = ("3", "Report") if report else ("4", "Domain Resource")
    return {"what": {"reference": reference}, "type": terms.coding(_ENTITY, "2", "System Object"),
            "role": terms.coding(_ROLE, *role)}  # fmt: skip


def _query(event: Event) -> Json:
    raw = event.query or event.target or event.interaction
    return {
        "type": terms.coding(_ENTITY, "2", "System Object"),
        "role": terms.coding(_ROLE, "24", "Query"),
        "description": event.target or event.interaction,
        "query": base64.b64encode(raw.encode()).decode(),
    }


def _observer(base: str) -> Json:
    return {
        "identifier": {"system": "urn:ietf:rfc:3986", "value": base},
        "display": "Genomics gateway",
    }


def _purpose(event: Event) -> Json:
    return {"coding": [terms.coding(_REASON, event.purpose, "")]}
