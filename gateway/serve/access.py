"""Break-glass: a person who must see a patient now, says why, and is told until when.

It makes a grant for that person alone. It is in the audit journal and on disk before it counts,
and in the log at level warning; who looks into it finds it with `gateway grant list`.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import orjson
from flask import Blueprint, Response, request

from gateway.access.access import Access
from gateway.errors import GatewayError, InvalidRequest, Unauthorized
from gateway.fhir.outcome import outcome
from gateway.serve.caller import caller_access
from gateway.serve.fhir.formats import JSON
from gateway.serve.server import Server
from gateway.store.audit import Event
from gateway.store.dates import instant_text
from gateway.store.grants import BREAK_GLASS, Grant, add_grant
from gateway.store.search.extraction import is_id

log = logging.getLogger(__name__)
_BODY_BYTES = 10_000
_REASON_MAX = 1000
_MINUTE = 60_000_000


class _Asked(NamedTuple):
    patient: str
    reason: str


def access_blueprint(server: Server) -> Blueprint:
    """Make the routes under /access."""
    blueprint = Blueprint("access", __name__, url_prefix="/access")
    blueprint.register_error_handler(GatewayError, _refused)

    @blueprint.post("/break-glass")
    def break_glass() -> Response:
        access = caller_access(server)
        target = "Patient"
        try:
            asked = _asked()
            target = f"Patient/{asked.patient}"
            return _break(server, access, asked)
        except GatewayError as error:
            _record(server, access, target, error.status)
            raise

    return blueprint


def _asked() -> _Asked:
    """Read the body; raises InvalidRequest that names what is wrong."""
    request.max_content_length = _BODY_BYTES
    try:
        given = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("the body must be JSON") from error
    patient, reason = (
        given.get(name) if isinstance(given, dict) else None for name in ("patient", "reason")
    )
    id_ = str(patient or "").removeprefix("Patient/")
    if not isinstance(patient, str) or not is_id(id_):
        raise InvalidRequest("must be a reference such as Patient/1", where="patient")
    if not isinstance(reason, str) or not 0 < len(reason.strip()) <= _REASON_MAX:
        raise InvalidRequest(f"must be a text of 1 to {_REASON_MAX} characters", where="reason")
    return _Asked(id_, reason.strip())


def _break(server: Server, access: Access, asked: _Asked) -> Response:
    """Give the grant; raises Forbidden, NotFound, and StoreUnavailable when it is not audited."""
    role = server.policy.break_glass(access.caller)
    now = server.clock()
    grant = Grant(
        f"person:{access.caller.person}", asked.patient, "", asked.reason,
        access.caller.person, now, now + role.break_glass_minutes * _MINUTE, BREAK_GLASS,
        role.break_glass_restricted,
    )  # fmt: skip
    with server.database.write() as connection:
        key = add_grant(connection, grant)
        _record(server, access, f"Patient/{asked.patient}", 201)
    log.warning("the glass was broken", extra={"grant": key})
    body = {
        "grant": key,
        "patient": f"Patient/{asked.patient}",
        "expires": instant_text(grant.expires_at),
    }
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), 201, headers, content_type="application/json")


def _record(server: Server, access: Access, target: str, status: int) -> None:
    event = Event(
        time=server.clock(),
        client=access.client,
        interaction=BREAK_GLASS,
        target=target,
        status=status,
        subject=access.caller.person,
        purpose=access.caller.purpose,
    )
    server.journal.record(event, sync=True)


def _refused(error: GatewayError) -> Response:
    response = Response(orjson.dumps(outcome([error])), error.status, content_type=JSON)
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="access"'
    return response
