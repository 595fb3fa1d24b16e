"""The FHIR door: every route of the registry, errors as OperationOutcomes, and what all share.

A view parses its request, calls one function and returns. Every answer to a known client,
refusals included, is in the audit journal before it leaves; where it cannot be, the answer is 503.
"""

from __future__ import annotations

import logging
import traceback
from functools import partial

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    MessageTooLarge,
    NotAcceptable,
    NotAllowed,
    NotFound,
    StoreUnavailable,
    Unauthorized,
    UnsupportedMedia,
)
from gateway.fhir.outcome import outcome
from gateway.oauth import dpop
from gateway.serve.compress import compressed
from gateway.serve.fhir.audit import audit_routes
from gateway.serve.fhir.identity import identity_routes
from gateway.serve.fhir.metadata import only_normative, statement
from gateway.serve.fhir.operations import operation_routes
from gateway.serve.fhir.reads import read_routes
from gateway.serve.fhir.registry import Route, register
from gateway.serve.fhir.representation import Representation
from gateway.serve.fhir.searches import search_routes
from gateway.serve.fhir.visit import asked, record_visit
from gateway.serve.fhir.writes import write_routes
from gateway.serve.server import Server

_log = logging.getLogger(__name__)
_ALLOWED = "GET, HEAD, POST, PUT, OPTIONS"
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Last-Modified, Location, Content-Location, "
    "X-Progress, Retry-After, WWW-Authenticate",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Accept-Encoding, Authorization",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": _ALLOWED,
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, DPoP, If-Match, "
    "If-Modified-Since, If-None-Exist, If-None-Match, Prefer",
    "Access-Control-Max-Age": "600",
}


def fhir_routes() -> tuple[Route, ...]:
    """Return everything that is served under /fhir to a client with a token."""
    return (
        *audit_routes(), *read_routes(), *search_routes(), *operation_routes(), *identity_routes(),
        *write_routes(),
    )  # fmt: skip


def fhir_blueprint(server: Server) -> Blueprint:
    """Make the routes under /fhir."""
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")
    routes = fhir_routes()
    _add_metadata(blueprint, server, routes)
    register(blueprint, server, routes)
    _add_refusals(blueprint)
    blueprint.after_request(partial(_audited, server))
    blueprint.register_error_handler(GatewayError, _refused)
    blueprint.register_error_handler(HTTPException, _refused_http)
    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def _add_metadata(blueprint: Blueprint, server: Server, routes: tuple[Route, ...]) -> None:
    full = statement(server, routes)
    by_mode = {"": full, "full": full, "normative": only_normative(full)}

    @blueprint.get("/metadata")
    def metadata() -> Response:
        shown = asked(request.args)
        mode = request.args.get("mode", "")
        if mode not in by_mode:
            raise InvalidRequest("is full or normative here", where="mode")
        return Response(shown.write_content(by_mode[mode]), content_type=shown.media)


def _add_refusals(blueprint: Blueprint) -> None:
    @blueprint.get("/<path:_rest>")
    @blueprint.get("/")
    def nothing(_rest: str = "") -> Response:
        raise NotFound("this server has nothing at this address")

    @blueprint.route("/<path:_rest>", methods=["POST", "PUT", "PATCH", "DELETE"])
    @blueprint.route("/", methods=["PUT", "PATCH", "DELETE"])
    def nothing_written(_rest: str = "") -> Response:
        raise NotAllowed("this is not served here: nothing is patched or deleted over FHIR")


def _audited(server: Server, response: Response) -> Response:
    response.headers.extend(_HEADERS)
    if request.method == "OPTIONS":
        response.headers.extend(_PREFLIGHT)
    try:
        record_visit(server, g.get("visit"), response.status_code)
    except StoreUnavailable as error:
        response.close()
        response = _refused(error)
        response.headers.extend(_HEADERS)
    return compressed(response)


def _refused(error: GatewayError) -> Response:
    shown = _understood()
    body = shown.write_content(outcome([error]))
    response = Response(body, error.status, content_type=shown.media)
    if isinstance(error, Unauthorized):
        bound = request.headers.get("Authorization", "").lower().startswith("dpop ")
        scheme = "DPoP" if bound else "Bearer"
        given = ', error="invalid_token"' if request.headers.get("Authorization") else ""
        given += f', algs="{" ".join(dpop.ALGORITHMS)}"' if bound else ""
        response.headers["WWW-Authenticate"] = f'{scheme} realm="fhir"{given}'
    if isinstance(error, Forbidden):
        response.headers["WWW-Authenticate"] = 'Bearer realm="fhir", error="insufficient_scope"'
    if isinstance(error, NotAllowed):
        response.headers["Allow"] = _ALLOWED
    if isinstance(error, StoreUnavailable):
        response.headers["Retry-After"] = "5"
    return response


def _understood() -> Representation:
    """Return how the client wants to be told, as far as it can be known."""
    try:
        return asked(request.args)
    except (NotAcceptable, InvalidRequest):
        return Representation()


def _refused_http(error: HTTPException) -> Response:
    kinds = {404: NotFound, 405: NotAllowed, 413: MessageTooLarge, 415: UnsupportedMedia}
    return _refused(kinds.get(error.code or 400, InvalidRequest)())


def _failed(error: Exception) -> Response:
    # Where, never what: the text of an unexpected error may quote a record.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)
    return _refused(GatewayError())
