"""Creations, updates, batches and transactions (R4 http.html)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from flask import Response, request

from gateway.errors import GatewayError, NotAllowed
from gateway.fhir.outcome import outcome
from gateway.identify.numbers import issuers_of
from gateway.pipeline.transaction import Entry, entries, run_alone, run_transaction
from gateway.pipeline.writes import WRITABLE, Plan, Writer, Written
from gateway.pipeline.written_patients import IndexKeeper
from gateway.serve.fhir import bundle
from gateway.serve.fhir.body import bundle_sent, check_content, resource_sent
from gateway.serve.fhir.ethnicity import complete
from gateway.serve.fhir.registry import Asked, Route
from gateway.serve.fhir.searches import found_page
from gateway.serve.fhir.visit import Visit, preference, version_headers
from gateway.store import resources
from gateway.store.database import Connection


def write_routes() -> tuple[Route, ...]:
    """Return the routes of writes."""
    return (
        Route("create", "POST", ("/<type_>",), _create, "Make a resource", WRITABLE,
              body="resource", conditional="create"),
        Route("update", "PUT", ("/<type_>/<id_>",), _update,
              "Give a resource a new version", WRITABLE, body="resource"),
        Route("update", "PUT", ("/<type_>",), _update_matching,
              "Update the one resource that a search finds, or make it", WRITABLE,
              asked=(Asked("<search>", "Any search parameters of the type."),),
              body="resource", conditional="update"),
        Route("transaction", "POST", ("", "/"), _bundle,
              "All requests of a Bundle, or none of them", body="bundle"),
        Route("batch", "POST", ("", "/"), _bundle,
              "Each request of a Bundle for itself", body="bundle"),
    )  # fmt: skip


# -- one resource ---------------------------------------------------------------------------


def _create(visit: Visit, type_: str) -> Response:
    visit.access.require(type_, "c")
    content, condition = resource_sent(), request.headers.get("If-None-Exist", "")
    return _write(visit, lambda writer: writer.create(type_, content, condition=condition))


def _update(visit: Visit, type_: str, id_: str) -> Response:
    visit.access.require(type_, "u")
    content, if_match = resource_sent(), request.headers.get("If-Match", "")
    return _write(visit, lambda writer: writer.update(type_, id_, content, if_match))


def _update_matching(visit: Visit, type_: str) -> Response:
    visit.access.require(type_, "u")
    content, if_match = resource_sent(), request.headers.get("If-Match", "")
    condition = request.query_string.decode("ascii", "replace")
    return _write(visit, lambda writer: writer.update_matching(type_, condition, content, if_match))


def _write(visit: Visit, plan: Callable[[Writer], Plan]) -> Response:
    shown = visit.representation()
    with visit.server.database.write() as connection:
        writer = _writer(visit, connection)
        written = writer.save([plan(writer)])[0]
    found = written.stored
    visit.noted_versions([found])
    place = f"{visit.server.settings.fhir_base}/{found.type}/{found.id}/_history/{found.version}"
    headers = {**version_headers(found), "Location": place, "Content-Location": place}
    status = 201 if written.created else 200
    wish = preference("return")
    if wish == "minimal":
        return Response(status=status, headers=headers)
    if wish == "operationoutcome":
        body: str | bytes = shown.write_content(outcome([]))
    else:
        body = shown.write(found.body)
    return Response(body, status, headers, content_type=shown.media)


def _writer(visit: Visit, connection: Connection) -> Writer:
    server = visit.server
    settings, now = server.settings, server.clock()
    client = visit.access.client
    keeps = client in settings.patient_clients
    keeper = IndexKeeper(connection, issuers_of(settings), client, keeps, now)
    return Writer(connection, visit.access, server.rules, keeper, check_content, now)


# -- several --------------------------------------------------------------------------------


def _bundle(visit: Visit) -> Response:
    sent = bundle_sent()
    visit.interaction = kind = sent["type"]
    shown = visit.representation()
    given = entries(sent, visit.server.settings.fhir_base)
    lines = _transaction(visit, given) if kind == "transaction" else _batch(visit, given)
    return visit.text(bundle.responses(kind, lines), shown)


def _transaction(visit: Visit, given: list[Entry]) -> list[str]:
    def read(entry: Entry) -> str:
        return _answer(visit, connection, entry)

    with visit.server.database.write() as connection:
        done = run_transaction(_writer(visit, connection), given, read)
    return [one if isinstance(one, str) else _written(visit, one) for one in done]


def _batch(visit: Visit, given: list[Entry]) -> list[str]:
    lines: dict[int, str] = {}
    for entry in sorted(given, key=lambda one: one.order):
        try:
            lines[entry.number] = _alone(visit, entry)
        except GatewayError as error:
            lines[entry.number] = bundle.refused(error.status, outcome([error]))
    return [lines[one.number] for one in given]


def _alone(visit: Visit, entry: Entry) -> str:
    if entry.reads:
        with visit.server.database.read() as connection:
            return _answer(visit, connection, entry)
    with visit.server.database.write() as connection:
        return _written(visit, run_alone(_writer(visit, connection), entry))


def _written(visit: Visit, one: Written) -> str:
    visit.noted_versions([one.stored])
    wish = preference("return")
    said = bundle.json_text(outcome([])) if wish == "operationoutcome" else ""
    base = visit.server.settings.fhir_base
    status = "201 Created" if one.created else "200 OK"
    return bundle.written(base, one.stored, status, shown=wish == "representation", outcome=said)


def _answer(visit: Visit, connection: Connection, entry: Entry) -> str:
    """Answer one read of a Bundle: read, vread, history of a resource, search."""
    path, _, query = entry.url.partition("?")
    match path.split("/"):
        case [type_, id_]:
            found = resources.read(connection, visit.access, type_, id_)
            found = complete(connection, visit.access, found)
        case [type_, id_, "_history", version]:
            found = resources.read_version(connection, visit.access, type_, id_, version)
        case [type_]:
            pairs = parse_qsl(query, keep_blank_values=True)
            body, page = found_page(visit.server, visit.access, connection, type_, pairs)
            visit.noted(page.matches + page.included)
            return bundle.answered(body)
        case _:
            raise NotAllowed("this request cannot stand in a Bundle")
    visit.noted_versions([found])
    return bundle.answered(found.body, found)
