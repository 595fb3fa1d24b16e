"""Reads by id, and histories (R4 http.html: read, vread, history)."""

from __future__ import annotations

from flask import Response, request

from gateway.errors import InvalidRequest, InvalidValue
from gateway.fhir.subset import Summary
from gateway.serve.fhir.bundle import Links, history
from gateway.serve.fhir.ethnicity import complete
from gateway.serve.fhir.registry import Asked, Route
from gateway.serve.fhir.visit import Visit, number, pairs_of
from gateway.store import resources
from gateway.store.dates import interval
from gateway.store.search.history import history_of
from gateway.store.search.parameters import TYPES

_PAGE = (
    Asked("_since", "Only versions filed at or after this instant."),
    Asked("_at", "Only versions that were the newest at some time of this date."),
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
        shown = complete(connection, visit.access, found)
    return visit.version(shown)


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
    count = number("_count", server.settings.page_size, server.settings.page_size_max)
    with server.database.read() as connection:
        page = history_of(
            connection, visit.access, type_ or None, server.rules, since=instant("_since"),
            at=_span("_at"), count=count, cursor=request.args.get("_cursor", ""),
        )  # fmt: skip
    visit.noted_versions(page.matches)
    base = server.settings.fhir_base
    url = "/".join(part for part in (base, type_, "_history") if part)
    links = Links(url, pairs, page.next)
    return visit.text(history(base, links, page.matches, page.total), shown)


def instant(name: str) -> int | None:
    """Return the first microsecond that a parameter means; raises InvalidRequest."""
    span = _span(name)
    return span[0] if span else None


def _span(name: str) -> tuple[int, int] | None:
    text = request.args.get(name, "").replace(" ", "+")
    try:
        return interval(text) if text else None
    except InvalidValue as error:
        raise InvalidRequest(error.text, where=name) from error
