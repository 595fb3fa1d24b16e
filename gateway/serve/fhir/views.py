"""The FHIR routes: read, vread, history of one resource, search, capabilities.

A view parses its request, calls one function and returns. Every answer to a known client,
refusals included, is in the audit journal before it leaves; where it cannot be, the answer is 503.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    MessageTooLarge,
    NotAllowed,
    NotFound,
    StoreUnavailable,
    Unauthorized,
    UnsupportedMedia,
)
from gateway.fhir.outcome import outcome
from gateway.serve.fhir.ethnicity import add_ethnicity
from gateway.serve.fhir.formats import JSON, require_json
from gateway.serve.fhir.identity import add_identity
from gateway.serve.fhir.metadata import statement
from gateway.serve.fhir.visit import asked, enter
from gateway.serve.server import Server
from gateway.store import resources
from gateway.store.query import parse_query
from gateway.store.search import search

_log = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 100_000
_ALLOWED = "GET, HEAD, POST, OPTIONS"
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Last-Modified, Location, Content-Location, "
    "X-Progress, Retry-After, WWW-Authenticate",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": _ALLOWED,
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-None-Match, Prefer",
    "Access-Control-Max-Age": "600",
}


def fhir_blueprint(server: Server) -> Blueprint:
    """Make the routes under /fhir."""
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")
    _add_metadata(blueprint, server)
    _add_reads(blueprint, server)
    _add_searches(blueprint, server)
    add_identity(blueprint, server)
    add_ethnicity(blueprint, server)
    _add_refusals(blueprint)
    blueprint.after_request(_audited)
    blueprint.register_error_handler(GatewayError, _refused)
    blueprint.register_error_handler(HTTPException, _refused_http)
    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def _add_metadata(blueprint: Blueprint, server: Server) -> None:
    document = orjson.dumps(statement(server))

    @blueprint.get("/metadata")
    def metadata() -> Response:
        require_json(*asked())
        return Response(document, 200, content_type=JSON)


def _add_reads(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/<type_>/<id_>")
    def read(type_: str, id_: str) -> Response:
        visit = enter(server, "read", f"{type_}/{id_}")
        with server.database.read() as connection:
            found = resources.read(connection, visit.access, type_, id_)
        return visit.version(found)

    @blueprint.get("/<type_>/<id_>/_history/<version>")
    def vread(type_: str, id_: str, version: str) -> Response:
        visit = enter(server, "vread", f"{type_}/{id_}/_history/{version}")
        with server.database.read() as connection:
            found = resources.read_version(connection, visit.access, type_, id_, version)
        return visit.version(found)

    @blueprint.get("/<type_>/<id_>/_history")
    def history(type_: str, id_: str) -> Response:
        visit = enter(server, "history-instance", f"{type_}/{id_}")
        visit.json()
        with server.database.read() as connection:
            found = resources.history(connection, visit.access, type_, id_)
        return visit.versions(found)


def _add_searches(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/<type_>")
    def search_get(type_: str) -> Response:
        return _search(server, type_, _pairs(request.args))

    @blueprint.post("/<type_>/_search")
    def search_post(type_: str) -> Response:
        if request.mimetype != _FORM:
            raise UnsupportedMedia(f"send the search as {_FORM}")
        request.max_content_length = _FORM_BYTES
        return _search(server, type_, _pairs(request.args) + _pairs(request.form))


def _pairs(values: MultiDict[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, several in values.lists() for value in several]


def _search(server: Server, type_: str, pairs: list[tuple[str, str]]) -> Response:
    visit = enter(server, "search-type", type_, orjson.dumps(pairs).decode())
    visit.json()
    strict = "handling=strict" in request.headers.get("Prefer", "").replace(" ", "").lower()
    query = parse_query(type_, pairs, server.rules, strict=strict)
    with server.database.read() as connection:
        page = search(connection, visit.access, query)
    return visit.page(page, _ignored(query.ignored))


def _ignored(names: tuple[str, ...]) -> dict[str, Any] | None:
    if not names:
        return None
    ignored = [InvalidRequest("was ignored: not supported", where=name) for name in names]
    return outcome(ignored, severity="warning")


def _add_refusals(blueprint: Blueprint) -> None:
    @blueprint.get("/<path:_rest>")
    @blueprint.get("/")
    def nothing(_rest: str = "") -> Response:
        raise NotFound("this server has nothing at this address")

    @blueprint.route("/<path:_rest>", methods=["POST", "PUT", "PATCH", "DELETE"])
    @blueprint.route("/", methods=["POST", "PUT", "PATCH", "DELETE"])
    def nothing_written(_rest: str = "") -> Response:
        raise NotAllowed("resources are filed by messages, not over FHIR")


def _audited(response: Response) -> Response:
    response.headers.extend(_HEADERS)
    if request.method == "OPTIONS":
        response.headers.extend(_PREFLIGHT)
    if visit := g.get("visit"):
        try:
            visit.server.journal.record(visit.event(response.status_code))
        except StoreUnavailable as error:
            response.close()
            response = _refused(error)
            response.headers.extend(_HEADERS)
    return response


def _refused(error: GatewayError) -> Response:
    response = Response(orjson.dumps(outcome([error])), error.status, content_type=JSON)
    if isinstance(error, Unauthorized):
        given = ', error="invalid_token"' if request.headers.get("Authorization") else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="fhir"{given}'
    if isinstance(error, Forbidden):
        response.headers["WWW-Authenticate"] = 'Bearer realm="fhir", error="insufficient_scope"'
    if isinstance(error, NotAllowed):
        response.headers["Allow"] = _ALLOWED
    if isinstance(error, StoreUnavailable):
        response.headers["Retry-After"] = "5"
    return response


def _refused_http(error: HTTPException) -> Response:
    kinds = {404: NotFound, 405: NotAllowed, 413: MessageTooLarge, 415: UnsupportedMedia}
    return _refused(kinds.get(error.code or 400, InvalidRequest)())


def _failed(error: Exception) -> Response:
    # Where, never what: the text of an unexpected error may quote a record.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)
    return _refused(GatewayError())
