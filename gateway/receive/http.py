"""HL7 over HTTP: POST /hl7. Every HL7 answer, AE and AR too, rides on 200."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

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

_TYPES = ("application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7")


def hl7_blueprint(
    intake: Intake, authenticate: Callable[[], str], clock: Callable[[], int], max_bytes: int
) -> Blueprint:
    """Make the door; `authenticate` returns the client or raises Unauthorized or Forbidden."""
    blueprint = Blueprint("hl7", __name__)

    @blueprint.post("/hl7")
    def hl7() -> Response:
        source = f"http:{authenticate()}"
        arrival = Arrival(_body(max_bytes), source, clock(), None, _charset())
        reply = accept(arrival, intake, must_keep=True)
        return Response(reply, content_type=f"{request.mimetype}; charset=UTF-8")

    blueprint.register_error_handler(GatewayError, _refused)
    return blueprint


def _body(max_bytes: int) -> bytes:
    if request.mimetype not in _TYPES:
        raise UnsupportedMedia("send application/hl7-v2")
    request.max_content_length = max_bytes
    if request.content_length is not None and request.content_length > max_bytes:
        raise MessageTooLarge
    body = request.get_data(cache=False)
    if not body:
        raise InvalidRequest("there is no message in this request")
    return body


def _charset() -> str:
    """The charset parameter wins over MSH-18."""
    return request.mimetype_params.get("charset", "")


def _refused(error: GatewayError) -> Response:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, (Unauthorized, Forbidden)):
        headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
    if isinstance(error, StoreUnavailable):
        headers["Retry-After"] = "5"
    return Response(f"{error}\n", error.status, headers, mimetype="text/plain")
