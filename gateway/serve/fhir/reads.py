"""Reads by id, and histories (R4 http.html: read, vread, history)."""

from __future__ import annotations

from flask import Response, request

from gateway.errors import InvalidRequest, InvalidValue
from gateway.fhir.subset import Summary
from gateway.serve.fhir.bundle import Links, history
from gateway.serve.fhir.registry import Asked, Route
from gateway.serve.fhir.visit import Visit, number, pairs_of
from gateway.store import resources
from gateway.store.dates import FIRST, interval
from gateway.store.history import history_of
from gateway.store.parameters import TYPES
from gateway.store.position import read_position, write_position

_PAGE = (
    Asked("_since", "Only versions filed at or after this instant."),
    Asked("_count", "Versions on a page, at most.", "integer"),
    Asked("_cursor", "Where the page begins: only as a `next` link says it."),
)


def read_routes() -> tuple[Route, ...]:
    """Return the routes of reads by id and histories."""
    by_id, versions = "/<type_>/<id_>", "/_history"
    return (
        Route("read", "GET", (by_id,), _read, "Read the newest version of a resource", TYPES),
        Route("vread", "GET", (f"{by_id}{versions}/<version>",), _vread,
              "Read one version of a resource", TYPES),
        Route("history-instance", "GET", (f"{by_id}{versions}",), _history,
              "Every version of a resource, newest first", TYPES),
        Route("history-type", "GET", (f"/<type_>{versions}",), _history_of,
              "Every version of all resources of a type, newest first", TYPES, asked=_PAGE),
        Route("history-system", "GET", (versions,), _history_of,
              "Every version of everything the caller may read, newest first", asked=_PAGE),
    )  # fmt: skip


def _read(visit: Visit, type_: str, id_: str) -> Response:
    _not_counted(visit)
    with visit.server.database.read() as connection:
        found = resources.read(connection, visit.access, type_, id_)
    return visit.version(found)


def _vread(visit: Visit, type_: str, id_: str, version: str) -> Response:
    _not_counted(visit)
    with visit.server.database.read() as connection:
        found = resources.read_version(connection, visit.access, type_, id_, version)
    return visit.version(found)


def _not_counted(visit: Visit) -> None:
    if request.args.get("_summary") == Summary.COUNT:
        raise InvalidRequest("there is nothing to count in a read", where="_summary")


def _history(visit: Visit, type_: str, id_: str) -> Response:
    shown = visit.representation()
    with visit.server.database.read() as connection:
        found = resources.history(connection, visit.access, type_, id_)
    visit.noted_versions(found)
    base = visit.server.settings.fhir_base
    links = Links(f"{base}/{type_}/{id_}/_history", pairs_of(request.args))
    return visit.text(history(base, links, found, len(found)), shown)


def _history_of(visit: Visit, type_: str = "") -> Response:
    shown = visit.representation()
    pairs = [(name, value) for name, value in pairs_of(request.args) if name != "_cursor"]
    visit.asked_for(pairs)
    server = visit.server
    question = [visit.access.client, "_history", type_, request.args.get("_since", "")]
    secret = server.rules.secret
    after = read_position(secret, question, request.args.get("_cursor", ""))
    count = number("_count", server.settings.page_size, server.settings.page_size_max) or 1
    with server.database.read() as connection:
        found, place = history_of(connection, visit.access, type_, since(), count, after)
    visit.noted_versions(found)
    base = server.settings.fhir_base
    url = "/".join(part for part in (base, type_, "_history") if part)
    following = write_position(secret, question, place) if place else ""
    total = len(found) if not (place or after) else None
    return visit.text(history(base, Links(url, pairs, following), found, total), shown)


def since() -> int:
    """Return the instant that `_since` names, in microseconds; raises InvalidRequest."""
    text = request.args.get("_since", "").replace(" ", "+")
    try:
        return interval(text)[0] if text else FIRST
    except InvalidValue as error:
        raise InvalidRequest(error.text, where="_since") from error
