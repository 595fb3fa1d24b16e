"""The rows of the search parameter table, R4 4.0.1 searchparameter-registry.html.

Numbers are stored in the index rows: a number is never changed and never used again. Of the
parameters of a type only those are here whose elements we store; the Genomics Reporting guide
defines none of its own and searches variants by the pairs of code and value of Observation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.store.search.kinds import Kind, Parameter, Place

_HL7 = "http://hl7.org/fhir/"
_PATIENT = ("Patient",)
_MAKERS = ("Organization", "Practitioner", "PractitionerRole")
_REPORT, _OBSERVATION, _ORDER = "DiagnosticReport", "Observation", "ServiceRequest"
_EVERY = (
    *_PATIENT, _REPORT, _OBSERVATION, _ORDER, "Specimen", "Procedure", "Task", "Organization",
    "Practitioner", "PractitionerRole", "Binary", "DocumentReference",
)  # fmt: skip

Rows = Iterator[Parameter]


def common() -> Rows:
    """Yield the parameters of every searchable type that are indexed."""
    yield Parameter(1000, "Resource", "_profile", Kind.URI, ("meta.profile",))
    yield from _tokens(
        "Resource", {1001: ("_tag", "meta.tag"), 1002: ("_security", "meta.security")}
    )


def rows() -> Rows:
    """Yield every parameter of every type."""
    yield from _patient()
    yield from _report()
    yield from _observation()
    yield from _paired()
    yield from _order()
    yield from _specimen()
    yield from _procedure()
    yield from _task()
    yield from _document()
    yield from _provenance()
    yield from _organization()
    yield from _practitioner()
    yield from _role()


def _of(kind: Kind, type_: str, table: Mapping[int, tuple[str, ...]]) -> Rows:
    for number, (name, *paths) in table.items():
        yield Parameter(number, type_, name, kind, tuple(paths))


def _tokens(type_: str, table: Mapping[int, tuple[str, ...]]) -> Rows:
    return _of(Kind.TOKEN, type_, table)


def _dates(type_: str, table: Mapping[int, tuple[str, ...]]) -> Rows:
    return _of(Kind.DATE, type_, table)


def _strings(type_: str, table: Mapping[int, tuple[str, ...]]) -> Rows:
    return _of(Kind.STRING, type_, table)


def _code(number: int, type_: str, name: str, value_set: str, path: str = "") -> Parameter:
    """Make the parameter of a code, whose one system its binding fixes."""
    return Parameter(number, type_, name, Kind.TOKEN, (path or name,), system=_HL7 + value_set)


def _reference(number: int, type_: str, name: str, path: str, *targets: str) -> Parameter:
    return Parameter(number, type_, name, Kind.REFERENCE, (path,), targets)


def _whose(number: int, type_: str, path: str = "subject") -> Rows:
    for name in ("patient", "subject"):
        yield Parameter(number, type_, name, Kind.REFERENCE, (path,), _PATIENT, patient=True)


def _address(number: int, type_: str) -> Rows:
    yield from _strings(type_, {
        number: ("address", "address"),
        number + 1: ("address-city", "address.city"),
        number + 2: ("address-country", "address.country"),
        number + 3: ("address-postalcode", "address.postalCode"),
        number + 4: ("address-state", "address.state"),
    })  # fmt: skip
    yield _code(number + 5, type_, "address-use", "address-use", "address.use")


def _contact(number: int, type_: str) -> Rows:
    for at, only in enumerate(("", "phone", "email")):
        name = only or "telecom"
        yield Parameter(number + at, type_, name, Kind.TOKEN, ("telecom",), contact=only)


def _names(number: int, type_: str) -> Rows:
    yield from _strings(type_, {
        number: ("name", "name"),
        number + 1: ("family", "name.family"),
        number + 2: ("given", "name.given"),
    })  # fmt: skip


def _patient() -> Rows:
    yield Parameter(1, "Patient", "identifier", Kind.TOKEN, ("identifier",), needs_system=True)
    yield from _dates(
        "Patient", {2: ("birthdate", "birthDate"), 4: ("death-date", "deceasedDateTime")}
    )
    yield _code(3, "Patient", "gender", "administrative-gender")
    yield from _tokens(
        "Patient", {5: ("active", "active"), 6: ("language", "communication.language")}
    )
    yield _reference(7, "Patient", "general-practitioner", "generalPractitioner", *_MAKERS)
    yield _reference(8, "Patient", "organization", "managingOrganization", "Organization")
    yield from _names(200, "Patient")
    yield from _address(205, "Patient")
    yield from _contact(211, "Patient")


def _report() -> Rows:
    yield from _whose(10, _REPORT)
    yield from _tokens(_REPORT, {
        11: ("identifier", "identifier"),
        12: ("code", "code"),
        13: ("category", "category"),
        21: ("conclusion", "conclusionCode"),
    })  # fmt: skip
    yield _code(14, _REPORT, "status", "diagnostic-report-status")
    yield from _dates(
        _REPORT, {15: ("date", "effectiveDateTime", "effectivePeriod"), 16: ("issued", "issued")}
    )
    yield _reference(17, _REPORT, "based-on", "basedOn", _ORDER)
    yield _reference(18, _REPORT, "specimen", "specimen", "Specimen")
    yield _reference(19, _REPORT, "result", "result", _OBSERVATION)
    yield _reference(20, _REPORT, "performer", "performer", *_MAKERS)
    yield _reference(22, _REPORT, "results-interpreter", "resultsInterpreter", *_MAKERS)


def _observation() -> Rows:
    yield from _whose(30, _OBSERVATION)
    yield from _tokens(_OBSERVATION, {
        31: ("identifier", "identifier"),
        32: ("code", "code"),
        33: ("category", "category"),
        39: ("method", "method"),
        220: ("data-absent-reason", "dataAbsentReason"),
        221: ("component-data-absent-reason", "component.dataAbsentReason"),
    })  # fmt: skip
    yield _code(34, _OBSERVATION, "status", "observation-status")
    yield from _dates(_OBSERVATION, {
        35: ("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant"),
        222: ("value-date", "valueDateTime", "valuePeriod"),
    })  # fmt: skip
    yield from _strings(
        _OBSERVATION, {223: ("value-string", "valueString", "valueCodeableConcept.text")}
    )
    yield _reference(
        36, _OBSERVATION, "derived-from", "derivedFrom", _OBSERVATION, "DocumentReference"
    )
    yield _reference(37, _OBSERVATION, "specimen", "specimen", "Specimen")
    yield _reference(38, _OBSERVATION, "has-member", "hasMember", _OBSERVATION)
    yield _reference(224, _OBSERVATION, "based-on", "basedOn", _ORDER)
    yield _reference(225, _OBSERVATION, "performer", "performer", *_PATIENT, *_MAKERS)
    yield _reference(226, _OBSERVATION, "part-of", "partOf", "Procedure")


def _paired() -> Rows:
    """Yield the values of an Observation with the code they are the value of."""
    of, token, quantity = _OBSERVATION, Kind.TOKEN, Kind.QUANTITY
    yield Parameter(40, of, "component-code", token, ("component.code",), place=Place.FIRST)
    for number, group, code in ((41, "", "code"), (43, "component-", "component-code")):
        path = "component." if group else ""
        concept, amount = f"{group}value-concept", f"{group}value-quantity"
        yield Parameter(
            number,
            of,
            concept,
            token,
            (f"{path}valueCodeableConcept",),
            place=Place.SECOND,
            code=code,
        )
        yield Parameter(number + 1, of, amount, quantity, (f"{path}valueQuantity",), code=code)
        yield Parameter(
            number + 186, of, f"{group}code-value-concept", Kind.COMPOSITE, parts=(code, concept)
        )
        yield Parameter(
            number + 187, of, f"{group}code-value-quantity", Kind.COMPOSITE, parts=(code, amount)
        )
    kinds = {
        231: ("code", token), 232: ("value-concept", token), 233: ("value-quantity", quantity),
        234: ("code-value-concept", Kind.COMPOSITE), 235: ("code-value-quantity", Kind.COMPOSITE),
        236: ("data-absent-reason", token),
    }  # fmt: skip
    for number, (name, kind) in kinds.items():
        yield Parameter(number, of, f"combo-{name}", kind, either=(name, f"component-{name}"))


def _order() -> Rows:
    yield from _whose(50, _ORDER)
    yield from _tokens(_ORDER, {
        51: ("identifier", "identifier"),
        52: ("code", "code"),
        57: ("category", "category"),
        58: ("requisition", "requisition"),
        59: ("performer-type", "performerType"),
    })  # fmt: skip
    yield _code(53, _ORDER, "status", "request-status")
    yield _code(240, _ORDER, "intent", "request-intent")
    yield _code(241, _ORDER, "priority", "request-priority")
    yield from _dates(_ORDER, {
        54: ("authored", "authoredOn"),
        242: ("occurrence", "occurrenceDateTime", "occurrencePeriod"),
    })  # fmt: skip
    yield _reference(55, _ORDER, "specimen", "specimen", "Specimen")
    yield _reference(56, _ORDER, "requester", "requester", *_MAKERS)
    yield _reference(243, _ORDER, "based-on", "basedOn", _ORDER)
    yield _reference(244, _ORDER, "performer", "performer", *_MAKERS)
    yield _reference(245, _ORDER, "replaces", "replaces", _ORDER)


def _specimen() -> Rows:
    yield from _whose(60, "Specimen")
    yield from _tokens("Specimen", {
        61: ("identifier", "identifier"),
        62: ("accession", "accessionIdentifier"),
        63: ("type", "type"),
        66: ("bodysite", "collection.bodySite"),
    })  # fmt: skip
    yield _code(64, "Specimen", "status", "specimen-status")
    yield from _dates(
        "Specimen",
        {65: ("collected", "collection.collectedDateTime", "collection.collectedPeriod")},
    )
    yield _reference(67, "Specimen", "parent", "parent", "Specimen")
    yield _reference(
        68, "Specimen", "collector", "collection.collector", "Practitioner", "PractitionerRole"
    )


def _procedure() -> Rows:
    of = "Procedure"
    yield from _whose(70, of)
    yield from _tokens(of, {
        71: ("identifier", "identifier"),
        72: ("code", "code"),
        76: ("category", "category"),
        77: ("reason-code", "reasonCode"),
    })  # fmt: skip
    yield _code(73, of, "status", "event-status")
    yield from _dates(of, {74: ("date", "performedDateTime", "performedPeriod")})
    yield _reference(75, of, "based-on", "basedOn", _ORDER)
    yield _reference(78, of, "part-of", "partOf", of, _OBSERVATION)
    yield _reference(79, of, "performer", "performer.actor", *_MAKERS)
    yield _reference(
        250,
        of,
        "reason-reference",
        "reasonReference",
        _OBSERVATION,
        _REPORT,
        of,
        "DocumentReference",
    )


def _task() -> Rows:
    of = "Task"
    yield from _whose(80, of, "for")
    yield from _tokens(of, {
        81: ("identifier", "identifier"),
        82: ("code", "code"),
        87: ("group-identifier", "groupIdentifier"),
        88: ("business-status", "businessStatus"),
        89: ("performer", "performerType"),
    })  # fmt: skip
    yield _code(83, of, "status", "task-status")
    yield _code(260, of, "intent", "task-intent")
    yield _code(261, of, "priority", "request-priority")
    yield from _dates(of, {
        84: ("authored-on", "authoredOn"),
        262: ("modified", "lastModified"),
        263: ("period", "executionPeriod"),
    })  # fmt: skip
    yield _reference(85, of, "focus", "focus", _REPORT, _ORDER)
    yield _reference(86, of, "based-on", "basedOn", _ORDER)
    yield _reference(264, of, "owner", "owner", *_MAKERS)
    yield _reference(265, of, "requester", "requester", *_PATIENT, *_MAKERS)
    yield _reference(266, of, "part-of", "partOf", of)


def _document() -> Rows:
    of = "DocumentReference"
    yield from _whose(130, of)
    yield from _tokens(of, {
        131: ("identifier", "masterIdentifier", "identifier"),
        132: ("type", "type"),
        135: ("security-label", "securityLabel"),
        138: ("category", "category"),
        139: ("event", "context.event"),
        270: ("facility", "context.facilityType"),
        271: ("setting", "context.practiceSetting"),
        272: ("format", "content.format"),
    })  # fmt: skip
    yield _code(133, of, "status", "document-reference-status")
    yield _code(273, of, "relation", "document-relationship-type", "relatesTo.code")
    yield from _tokens(of, {
        274: ("contenttype", "content.attachment.contentType"),
        275: ("language", "content.attachment.language"),
    })  # fmt: skip
    yield from _dates(of, {134: ("date", "date"), 276: ("period", "context.period")})
    yield from _strings(of, {277: ("description", "description")})
    yield Parameter(278, of, "location", Kind.URI, ("content.attachment.url",))
    yield _reference(136, of, "related", "context.related", *_EVERY)
    yield _reference(137, of, "relatesto", "relatesTo.target", of)
    yield _reference(279, of, "author", "author", *_MAKERS, *_PATIENT)
    yield _reference(280, of, "authenticator", "authenticator", *_MAKERS)
    yield _reference(281, of, "custodian", "custodian", "Organization")


def _provenance() -> Rows:
    of = "Provenance"
    yield _reference(90, of, "target", "target", *_EVERY)
    yield from _dates(
        of, {91: ("recorded", "recorded"), 93: ("when", "occurredDateTime", "occurredPeriod")}
    )
    yield from _tokens(of, {94: ("agent-role", "agent.role"), 95: ("agent-type", "agent.type")})
    yield _reference(92, of, "agent", "agent.who", *_MAKERS, *_PATIENT)
    yield _reference(96, of, "entity", "entity.what", *_EVERY)
    # The same index rows as `target`, of which only those to patients are meant.
    yield Parameter(90, of, "patient", Kind.REFERENCE, ("target",), _PATIENT, patient=True)


def _organization() -> Rows:
    of = "Organization"
    yield from _tokens(of, {
        100: ("identifier", "identifier"), 101: ("active", "active"), 102: ("type", "type"),
    })  # fmt: skip
    yield from _strings(of, {103: ("name", "name", "alias")})
    yield _reference(104, of, "partof", "partOf", of)
    yield from _address(290, of)


def _practitioner() -> Rows:
    of = "Practitioner"
    yield from _tokens(of, {110: ("identifier", "identifier"), 111: ("active", "active")})
    yield _code(112, of, "gender", "administrative-gender")
    yield from _names(113, of)
    yield from _contact(116, of)


def _role() -> Rows:
    of = "PractitionerRole"
    yield from _tokens(of, {
        120: ("identifier", "identifier"),
        123: ("role", "code"),
        124: ("specialty", "specialty"),
        125: ("active", "active"),
    })  # fmt: skip
    yield _reference(121, of, "practitioner", "practitioner", "Practitioner")
    yield _reference(122, of, "organization", "organization", "Organization")
    yield from _dates(of, {126: ("date", "period")})
    yield from _contact(127, of)
