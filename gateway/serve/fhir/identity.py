"""The gateway as a supplier of identities: `Patient/$match`, `$ihe-pix`, and the patient feed.

`$match` is PDQm (ITI-119): Parameters with a Patient in, a searchset with a score and a grade for
each candidate out. Certain is only what the rules for filing would take (`identify.match`); a
likeness, however great, is probable at most. `$ihe-pix` is PIXm (ITI-83). `PUT
Patient?identifier=…` is the feed of PIXm (ITI-104): a conditional update by a trusted client.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from flask import Blueprint, Response, request

from gateway.errors import IdentityHold, InvalidRequest, InvalidValue, NotFound
from gateway.fhir.demographics import read_patient
from gateway.identify.likeness import Likeness, likeness
from gateway.identify.match import Known, best_rule, decide
from gateway.identify.numbers import Issuers, issuers_of, trusted
from gateway.pipeline.patients import Feed, apply_update
from gateway.report import Identifier, Patient, PatientUpdate
from gateway.serve.fhir.formats import JSON
from gateway.serve.fhir.visit import enter
from gateway.serve.server import Server
from gateway.store import identity, resources
from gateway.store.database import Connection
from gateway.store.matching import Seen, cross, seen

OPERATIONS = (
    ("match", "http://hl7.org/fhir/OperationDefinition/Patient-match"),
    ("ihe-pix", "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"),
)
"""Name and definition of each, for the CapabilityStatement."""

_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_POSSIBLE, _PROBABLE = 0.6, 0.85
_BODY_BYTES = 100_000


class Graded(NamedTuple):
    """A candidate with its grade (certain, probable, possible) and how like it is."""

    one: Seen
    grade: str
    score: float


def add_identity(blueprint: Blueprint, server: Server) -> None:
    """Add the routes under /fhir."""

    @blueprint.post("/Patient/$match")
    def match() -> Response:
        visit = enter(server, "operation:match", "Patient")
        visit.json()
        asked = _Asked.read(_body())
        with server.database.read() as connection:
            candidates = seen(connection, visit.access, asked.patient)
            found = _grade(connection, candidates, asked.patient, issuers_of(server.settings))
        kept = [one for one in found if one.grade == "certain" or not asked.certain]
        kept = kept[: min(asked.count or server.settings.page_size, server.settings.page_size_max)]
        visit.returned += [f"Patient/{graded.one.id}" for graded in kept]
        return Response(_searchset(server.settings.fhir_base, kept), 200, content_type=JSON)

    @blueprint.get("/Patient/$ihe-pix")
    def pix() -> Response:
        visit = enter(server, "operation:ihe-pix", "Patient", _query())
        visit.json()
        source, targets = _pix(server)
        with server.database.read() as connection:
            found = cross(connection, visit.access, source)
        if found is None:
            raise NotFound("no patient has this identifier", where="sourceIdentifier")
        visit.returned.append(f"Patient/{found.id}")
        others = [one for one in found.identifiers
                  if (one.system, one.value) != (source.system, source.value)]  # fmt: skip
        body = _parameters(
            found.id, [one for one in others if not targets or one.system in targets]
        )
        return Response(body, 200, content_type=JSON)

    @blueprint.put("/Patient")
    def feed() -> Response:
        visit = enter(server, "update", "Patient", _query())
        visit.access.require("Patient", "u")
        visit.access.require("Patient", "c")
        given = read_patient(_object(_body()))
        _require_condition(server, given)
        now = server.clock()
        with server.database.write() as connection:
            update = PatientUpdate(given, "PUT")
            known = apply_update(connection, update, Feed(visit.access.client, now, "nhs"),
                                 issuers_of(server.settings), now)  # fmt: skip
            stored = resources.read(connection, visit.access, "Patient", known.id)
        visit.target = f"Patient/{known.id}"
        headers = {"ETag": f'W/"{stored.version}"',
                   "Location": f"{server.settings.fhir_base}/Patient/{known.id}"}  # fmt: skip
        status = 201 if stored.version == 1 else 200
        return Response(stored.body, status, headers, content_type=JSON)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parameters of $match."""

    patient: Patient
    certain: bool
    count: int

    @classmethod
    def read(cls, body: Any) -> _Asked:
        content = _object(body)
        if content.get("resourceType") == "Patient":
            return cls(read_patient(content), False, 0)
        listed = content.get("parameter")
        if content.get("resourceType") != "Parameters" or not isinstance(listed, list):
            raise InvalidValue("Parameters with a Patient are needed", where="Parameters")
        given = {one.get("name"): one for one in listed if isinstance(one, dict)}
        patient = given.get("resource", {}).get("resource")
        certain = given.get("onlyCertainMatches", {}).get("valueBoolean", False)
        count = given.get("count", {}).get("valueInteger", 0)
        if not isinstance(certain, bool) or not isinstance(count, int) or count < 0:
            raise InvalidValue("not of its type", where="Parameters.parameter")
        return cls(read_patient(_object(patient)), certain, count)


def _grade(
    connection: Connection, candidates: Iterable[Seen], asked: Patient, issuers: Issuers
) -> list[Graded]:
    """Grade the candidates, the best first; those that are not even possible are left out."""
    try:
        asked = Patient(
            trusted(asked.identifiers, issuers), asked.name, asked.birth_date, asked.sex,
            asked.postcode,
        )  # fmt: skip
    except IdentityHold:
        asked = Patient((), asked.name, asked.birth_date, asked.sex, asked.postcode)
    listed = list(candidates)
    people = {
        one.key: Known(one.key, one.name, one.birth_date, one.names, one.sex, one.postcode)
        for one in identity.persons(connection, (one.key for one in listed))
    }
    certain = _certain(connection, listed, people, asked)
    made = [_graded(one, people[one.key], likeness(asked, one.demographics), asked, certain)
            for one in listed]  # fmt: skip
    kept = [one for one in made if one.grade]
    return sorted(kept, key=lambda one: (one.grade != "certain", -one.score, one.one.id))


def _certain(
    connection: Connection, listed: list[Seen], people: dict[int, Known], asked: Patient
) -> int | None:
    """Return the key of the one that a report would be filed on, if any."""
    numbers = {(one.system, one.value) for one in asked.identifiers}
    led = [people[one.key] for one in listed
           if any((of.system, of.value) in numbers
                  for of in one.demographics.identifiers)]  # fmt: skip
    try:
        decided = decide(asked, led, lambda day: [
            Known(one.key, one.name, one.birth_date, one.names, one.sex, one.postcode)
            for one in identity.born(connection, day)
        ])  # fmt: skip
    except IdentityHold:
        return None
    return decided.known.key


def _graded(one: Seen, known: Known, like: Likeness, asked: Patient, certain: int | None) -> Graded:
    same_day = bool(asked.birth_date) and asked.birth_date == known.birth_date
    if one.key == certain:
        return Graded(one, "certain", like.score)
    if like.score >= _PROBABLE or (same_day and best_rule(asked.name, known)):
        return Graded(one, "probable", like.score)
    return Graded(one, "possible" if like.score >= _POSSIBLE else "", like.score)


def _searchset(base: str, found: Iterable[Graded]) -> str:
    entries = [
        f'{{"fullUrl":"{base}/Patient/{one.id}","resource":{one.body},"search":'
        f'{{"extension":[{{"url":"{_GRADE}","valueCode":"{grade}"}}],"mode":"match",'
        f'"score":{score}}}}}'
        for one, grade, score in found
    ]
    listed = f',"entry":[{",".join(entries)}]' if entries else ""
    return f'{{"resourceType":"Bundle","type":"searchset","total":{len(entries)}{listed}}}'


def _parameters(id_: str, identifiers: Iterable[Identifier]) -> bytes:
    made: list[dict[str, Any]] = [
        {"name": "targetIdentifier", "valueIdentifier": {"system": one.system, "value": one.value}}
        for one in identifiers
    ]
    made.append({"name": "targetId", "valueReference": {"reference": f"Patient/{id_}"}})
    return orjson.dumps({"resourceType": "Parameters", "parameter": made})


def _pix(server: Server) -> tuple[Identifier, list[str]]:
    system, bar, value = request.args.get("sourceIdentifier", "").rpartition("|")
    if not (system and bar and value):
        raise InvalidRequest("needs system|value", where="sourceIdentifier")
    aliases = server.rules.aliases
    targets = [aliases.get(one, one) for one in request.args.getlist("targetSystem")]
    return Identifier(value, aliases.get(system, system)), targets


def _require_condition(server: Server, given: Patient) -> None:
    """The condition must be one of the identifiers of the Patient that is sent."""
    asked = request.args.get("identifier", "").rpartition("|")
    aliases = server.rules.aliases
    wanted = (aliases.get(asked[0], asked[0]), asked[2])
    sent = {(aliases.get(one.system, one.system), one.value) for one in given.identifiers}
    if list(request.args) != ["identifier"] or wanted not in sent:
        text = "a Patient is updated by one identifier of its own: Patient?identifier=system|value"
        raise InvalidRequest(text, where="identifier")


def _query() -> str:
    return orjson.dumps(list(request.args.items(multi=True))).decode()


def _body() -> Any:
    request.max_content_length = _BODY_BYTES
    try:
        return orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise InvalidValue("not valid JSON", where="body") from error


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise InvalidValue("a JSON object is needed", where="body")
    return body
