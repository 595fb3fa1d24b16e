"""Operations: $everything, $document, $validate, $translate, $expand."""

from __future__ import annotations

import base64
from typing import Any

from flask import Response, request

from gateway.errors import Forbidden, InvalidRequest, NotAllowed
from gateway.fhir.composition import composition, document, references
from gateway.fhir.outcome import validation
from gateway.fhir.reading import read_text
from gateway.fhir.terms import Json
from gateway.serve.fhir.body import resource_sent
from gateway.serve.fhir.bundle import Links, searchset
from gateway.serve.fhir.ethnicity import completed
from gateway.serve.fhir.reads import instant
from gateway.serve.fhir.registry import Asked, Route
from gateway.serve.fhir.visit import Visit, number, pairs_of
from gateway.serve.terminology import given
from gateway.store import resources
from gateway.store.database import Connection
from gateway.store.dates import instant_text
from gateway.store.files import stored_size
from gateway.store.referred import read_many
from gateway.store.resources import Stored
from gateway.store.search.compartment import everything
from gateway.store.search.parameters import TYPES

_DEFINITIONS = "http://hl7.org/fhir/OperationDefinition/"
_PATIENT, _REPORT = frozenset({"Patient"}), frozenset({"DiagnosticReport"})
_MAPS, _SETS = frozenset({"ConceptMap"}), frozenset({"ValueSet"})
_DOCUMENT_MAX = 5000
_MODES = ("create", "update", "delete", "profile")


def operation_routes() -> tuple[Route, ...]:
    """Return the routes of operations."""
    return (
        Route("$everything", "GET", ("/Patient/<id_>/$everything",), _everything,
              "The whole record of a patient, and who and what it names", _PATIENT, "Patient",
              f"{_DEFINITIONS}Patient-everything", (
                  Asked("_since", "Only what was filed at or after this instant."),
                  Asked("_type", "Only these types, comma-separated."),
                  Asked("_count", "Resources on a page, at most.", "integer"),
                  Asked("_cursor", "Where the page begins: only as a `next` link says it."))),
        Route("$document", "GET", ("/DiagnosticReport/<id_>/$document",), _document,
              "A report with all that it refers to, as a document Bundle; nothing is stored",
              _REPORT, "DiagnosticReport", f"{_DEFINITIONS}Composition-document",
              (Asked("persist", "Must not be true.", "boolean"),)),
        Route("$validate", "POST", ("/<type_>/$validate",), _validate,
              "Check a resource, bare or in Parameters, against R4 and its profiles", TYPES, "",
              f"{_DEFINITIONS}Resource-validate", (
                  Asked("profile", "A canonical URL to hold it against."),
                  Asked("mode", "create, update, delete or profile.")), "parameters"),
        *_of_codes("$translate", "ConceptMap", _MAPS, _translate,
                   "What a sender's local code means", (
                       Asked("url", "`<base>/ConceptMap/<sender>.<table>`."),
                       Asked("code", "The local code."),
                       Asked("system", "`<base>/CodeSystem/<sender>.<table>`, or nothing."))),
        *_of_codes("$expand", "ValueSet", _SETS, _expand, "The codes of a value set", (
                       Asked("url", "A canonical URL, or `<base>/ValueSet/<sender>.<table>`."),
                       Asked("filter", "Words of code or display."),
                       Asked("count", "Codes at most.", "integer"),
                       Asked("offset", "Codes to pass over.", "integer"))),
    )  # fmt: skip


def _of_codes(
    code: str, type_: str, types: frozenset[str], view: Any, summary: str, asked: tuple[Asked, ...]
) -> tuple[Route, Route]:
    rules, definition = (f"/{type_}/{code}",), f"{_DEFINITIONS}{type_}-{code[1:]}"
    return (
        Route(code, "GET", rules, view, summary, types, type_, definition, asked),
        Route(code, "POST", rules, view, summary, types, type_, definition, body="parameters"),
    )


# -- a patient's record ---------------------------------------------------------------------


def _everything(visit: Visit, id_: str) -> Response:
    shown = visit.representation()
    pairs = [(name, value) for name, value in pairs_of(request.args) if name != "_cursor"]
    visit.asked_for(pairs)
    server, most = visit.server, visit.server.settings.page_size_max
    types = tuple(filter(None, request.args.get("_type", "").split(",")))
    with server.database.search() as connection:
        page = everything(
            connection, visit.access, id_, server.rules, types=types, since=instant("_since"),
            count=number("_count", most, most), cursor=request.args.get("_cursor", ""),
        )  # fmt: skip
        matches = completed(connection, visit.access, page.matches)
    visit.noted(page.matches)
    base = server.settings.fhir_base
    links = Links(f"{base}/Patient/{id_}/$everything", pairs, page.next)
    return visit.text(searchset(base, links, matches, total=page.total), shown)


# -- a report as a document -----------------------------------------------------------------


def _document(visit: Visit, id_: str) -> Response:
    if request.args.get("persist", "false") != "false":
        raise InvalidRequest("documents are made when asked for, never stored", where="persist")
    server = visit.server
    with server.database.read() as connection:
        found = resources.read(connection, visit.access, "DiagnosticReport", id_)
        others = _referred(visit, connection, found)
        visit.noted_versions([found, *others])
        parts = completed(connection, visit.access, (found, *others))
        contents = [_with_data(visit, connection, one) for one in parts]
    opening = composition(contents[0])
    base, now = server.settings.fhir_base, instant_text(server.clock())
    return visit.content(document(opening, contents, base, now))


def _referred(visit: Visit, connection: Connection, report: Stored) -> list[Stored]:
    """Return all that a report leads to; raises Forbidden when a part may not be read."""
    known = {("DiagnosticReport", report.id)}
    found: list[Stored] = []
    layer = [report]
    while layer:
        wanted = {place for one in layer for place in _places(one)} - known
        for type_ in sorted({type_ for type_, _ in wanted}):
            visit.access.require(type_, "r")
        layer = read_many(connection, visit.access, wanted)
        if len(layer) < len(wanted):
            raise Forbidden("a part of this report may not be read: it makes no document")
        known |= wanted
        found += layer
        if len(found) > _DOCUMENT_MAX:
            raise InvalidRequest("this report leads to too much for one document")
    return found


def _places(one: Stored) -> set[tuple[str, str]]:
    content = read_text(one.body)
    forms = content.get("presentedForm", ())
    named = {("Binary", url.partition("/")[2]) for form in forms
             if (url := form.get("url", "")).startswith("Binary/")}  # fmt: skip
    return {place for place in references(content) if place[0] in TYPES} | named


def _with_data(visit: Visit, connection: Connection, one: Stored) -> Json:
    content = read_text(one.body)
    if one.type == "Binary" and one.file_digest:
        size = stored_size(connection, one.file_digest)
        with visit.server.files.open(one.file_digest, size) as file:
            content["data"] = base64.b64encode(file.read()).decode()
    return content


# -- validation -----------------------------------------------------------------------------


def _validate(visit: Visit, type_: str) -> Response:
    sent = resource_sent()
    told = given(sent) if sent["resourceType"] == "Parameters" else {"resource": sent}
    resource = told.get("resource")
    mode = request.args.get("mode") or told.get("mode") or "profile"
    profile = request.args.get("profile") or told.get("profile") or ""
    if mode not in _MODES:
        raise InvalidRequest("is create, update, delete or profile", where="mode")
    if mode == "delete":
        raise NotAllowed("nothing is deleted over FHIR")
    if not isinstance(resource, dict) or resource.get("resourceType") != type_:
        raise InvalidRequest("needs a resource of the type of the request", where="resource")
    if mode == "update" and "id" not in resource:
        raise InvalidRequest("an update needs an id", where=f"{type_}.id")
    profiles = (str(profile),) if profile else ()
    findings = visit.server.terminology.findings(resource, profiles)
    return visit.content(validation(findings))


# -- codes ----------------------------------------------------------------------------------


def _translate(visit: Visit) -> Response:
    told = _told()
    coding = told.get("coding") or {}
    concept = told.get("codeableConcept") or {}
    codings = [coding, *concept.get("coding", ())] if isinstance(concept, dict) else [coding]
    first: Json = next((one for one in codings if one), {})
    code = _text(told.get("code") or first.get("code"), "code")
    system = str(told.get("system") or first.get("system") or "")
    url = _text(told.get("url"), "url")
    return visit.content(visit.server.terminology.translate(url, code, system))


def _expand(visit: Visit) -> Response:
    told = _told()
    count = _whole(told.get("count"), "count")
    offset = _whole(told.get("offset"), "offset") or 0
    now = instant_text(visit.server.clock())
    url, words = _text(told.get("url"), "url"), str(told.get("filter") or "")
    return visit.content(visit.server.terminology.expand(url, now, words, count, offset))


def _told() -> dict[str, Any]:
    if request.method != "POST":
        return dict(request.args)
    sent = resource_sent()
    if sent["resourceType"] != "Parameters":
        raise InvalidRequest("send Parameters", where="resourceType")
    return {**request.args, **given(sent)}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest("is required", where=name)
    return value


def _whole(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("must be a number", where=name)
    return int(text)
