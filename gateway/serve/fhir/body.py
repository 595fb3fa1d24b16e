"""The resource that a request carries."""

from __future__ import annotations

from flask import request

from gateway.errors import InvalidRequest
from gateway.fhir.conformance import check
from gateway.fhir.reading import read_resource
from gateway.fhir.terms import Json
from gateway.serve.fhir.formats import sent_as_xml

BODY_BYTES = 10_000_000


def resource_sent() -> Json:
    """Read the body, JSON or XML; raises UnsupportedMedia, InvalidRequest, MessageTooLarge."""
    xml = sent_as_xml(request.headers.get("Content-Type", ""))
    request.max_content_length = BODY_BYTES
    return read_resource(request.get_data(cache=False), xml=xml)


def bundle_sent() -> Json:
    """Read a batch or transaction."""
    sent = resource_sent()
    if sent["resourceType"] != "Bundle" or sent.get("type") not in ("batch", "transaction"):
        raise InvalidRequest("send a Bundle of type batch or transaction", where="Bundle.type")
    return sent


def check_content(content: Json) -> None:
    """Raise NotConformant, with the place of the first problem."""
    try:
        check(content)
    except RecursionError as error:
        raise InvalidRequest("is nested too deeply") from error
