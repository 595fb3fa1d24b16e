"""HL7 over HTTP: POST /hl7. Every HL7 answer, AE and AR too, rides on 200."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    MessageTooLarge,
    StoreUnavailable,
    Unauthorized,
    UnsupportedMedia,
)
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.source import Source
from gateway.wire.acknowledgement import is_positive

_TYPES = ("application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7")


def hl7_blueprint(
    intake: Intake, authenticate: Callable[[], Source], clock: Callable[[], int], max_bytes: int
) -> Blueprint:
    """Make the door; `authenticate` returns the source or raises Unauthorized or Forbidden."""
    blueprint = Blueprint("hl7", __name__)

    @blueprint.post("/hl7")
    def hl7() -> Response:
        source = authenticate()
        arrival = Arrival(_body(max_bytes), source, clock(), None, _charset())
        response = _answered(arrival, intake)
        if response.status_code == 200:
            response.headers.set("Content-Type", request.mimetype, charset=_charset() or "UTF-8")
        return response

    blueprint.register_error_handler(GatewayError, refused)
    return blueprint


def _answered(arrival: Arrival, intake: Intake) -> Response:
    """Accept, and count the answer once the server has sent it."""
    name = arrival.source.name
    intake.tally.received(name)
    try:
        reply = accept(arrival, intake, must_keep=True)
    except GatewayError as error:
        response = refused(error)
        response.call_on_close(lambda: intake.tally.answered(name, False))
        return response
    response = Response(reply)
    if reply:
        response.call_on_close(lambda: intake.tally.answered(name, is_positive(reply)))
    return response


def _body(max_bytes: int) -> bytes:
    if request.mimetype not in _TYPES:
        raise UnsupportedMedia("send application/hl7-v2")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMedia("send it without a content coding")
    # One byte more than the limit: a body of unknown length is cut off there, not refused.
    request.max_content_length = max_bytes + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise MessageTooLarge from error
    if len(body) > max_bytes:
        raise MessageTooLarge
    if not body:
        raise InvalidRequest("there is no message in this request")
    return body


def _charset() -> str:
    """The charset parameter wins over MSH-18."""
    return request.mimetype_params.get("charset", "")


def refused(error: GatewayError) -> Response:
    """Say in plain text why a request failed."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
    if isinstance(error, Forbidden):
        headers["WWW-Authenticate"] = 'Bearer realm="gateway", error="insufficient_scope"'
    if isinstance(error, StoreUnavailable):
        headers["Retry-After"] = "5"
    return Response(f"{error}\n", error.status, headers, mimetype="text/plain")
