"""Searches of a type, and of a type in the compartment of a patient (R4 search.html)."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from gateway.access.scopes import Access
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    NotFound,
    TooCostly,
    UnsupportedMedia,
)
from gateway.fhir.outcome import outcome
from gateway.fhir.subset import Summary
from gateway.serve.fhir.bundle import Links, searchset
from gateway.serve.fhir.ethnicity import completed
from gateway.serve.fhir.formats import FORM
from gateway.serve.fhir.registry import IN_COMPARTMENT, Asked, Route
from gateway.serve.fhir.representation import PARAMETERS as SHOWN
from gateway.serve.fhir.visit import Pairs, Visit, asked, pairs_of, preference
from gateway.serve.server import Server
from gateway.store import resources
from gateway.store.database import Connection
from gateway.store.search.asked import Query
from gateway.store.search.page import Page
from gateway.store.search.parameters import PARAMETERS, SHARED
from gateway.store.search.query import parse_query
from gateway.store.search.run import search

_FORM_BYTES = 100_000
COMPARTMENT = frozenset(PARAMETERS) - SHARED - {"Patient"}
"""Types that the compartment of a patient has (CompartmentDefinition/patient)."""
_ANY = (
    Asked("_count", "Matches on a page, at most; 0 counts only.", "integer"),
    Asked("_sort", "Names of parameters, comma-separated; with `-` the last first."),
    Asked("_include", "Type:parameter: what the matches refer to.", repeats=True),
    Asked("_revinclude", "Type:parameter: what refers to the matches.", repeats=True),
    Asked("_total", "`accurate`, `estimate` or `none`."),
    Asked("_cursor", "Where the page begins: only as a `next` link says it."),
)


def search_routes() -> tuple[Route, ...]:
    """Return the routes of searches."""
    types = frozenset(PARAMETERS)
    # Named, because a history of a Patient stands at the same place.
    mine = f"/Patient/<id_>/<any({','.join(sorted(COMPARTMENT))}):type_>"
    return (
        Route("search-type", "GET", ("/<type_>",), _search, "Search resources of a type", types,
              asked=_ANY),
        Route("search-type", "POST", ("/<type_>/_search",), _search,
              "The same, with the parameters in the body", types, asked=_ANY, body="form"),
        Route(IN_COMPARTMENT, "GET", (mine,), _search,
              "Search in the record of one patient", COMPARTMENT, asked=_ANY),
        Route(IN_COMPARTMENT, "POST", (f"{mine}/_search",), _search,
              "The same, with the parameters in the body", COMPARTMENT, asked=_ANY, body="form"),
    )  # fmt: skip


def pairs_sent() -> Pairs:
    """Return the parameters of a search, from the address and from the form of a POST."""
    if request.method != "POST":
        return pairs_of(request.args)
    if request.mimetype != FORM:
        raise UnsupportedMedia(f"send the search as {FORM}")
    request.max_content_length = _FORM_BYTES
    return pairs_of(request.args) + pairs_of(request.form)


def _search(visit: Visit, type_: str, id_: str = "") -> Response:
    pairs = pairs_sent()
    visit.asked_for(pairs)
    shown = asked(request.values)
    with visit.server.database.search() as connection:
        body, page = found_page(visit.server, visit.access, connection, type_, pairs, id_)
    visit.noted(page.matches + page.included)
    return visit.text(body, shown)


def found_page(
    server: Server,
    access: Access,
    connection: Connection,
    type_: str,
    pairs: Pairs,
    patient_id: str = "",
) -> tuple[str, Page]:
    """Search, and write the page as a Bundle; `patient_id` narrows to one patient's record."""
    if patient_id:
        resources.read(connection, access, "Patient", patient_id)
    strict = preference("handling") == "strict"
    query = _query(server, type_, pairs, patient_id, strict=strict)
    page = search(connection, access, query)
    base = server.settings.fhir_base
    url = f"{base}/Patient/{patient_id}/{type_}" if patient_id else f"{base}/{type_}"
    links = Links(url, [*query.pairs, *(pair for pair in pairs if _shown_only(pair))], page.next)
    said = warnings(query.ignored, capped=page.capped)
    matches, included = (
        completed(connection, access, rows) for rows in (page.matches, page.included)
    )
    return searchset(base, links, matches, included, page.total, said), page


def _query(server: Server, type_: str, pairs: Pairs, patient_id: str, *, strict: bool) -> Query:
    if type_ not in PARAMETERS:
        raise NotFound("this server searches no such resource type")
    given = [pair for pair in pairs if not _shown_only(pair)]
    compartment = ("Patient", patient_id) if patient_id else None
    return parse_query(type_, given, server.rules, strict=strict, compartment=compartment)


def _shown_only(pair: tuple[str, str]) -> bool:
    """Whether a parameter decides how the answer is shown, not what is found."""
    return pair[0] in SHOWN and pair != ("_summary", Summary.COUNT)


def warnings(ignored: tuple[str, ...], *, capped: bool = False) -> dict[str, Any] | None:
    """Say what was ignored, and whether includes were left out; None when there is nothing."""
    said: list[GatewayError] = [
        InvalidRequest("was ignored: not supported", where=name) for name in ignored
    ]
    if capped:
        text = "there is more to include than one page holds: ask for fewer with _count"
        said.append(TooCostly(text, where="_include"))
    return outcome(said, severity="warning") if said else None
