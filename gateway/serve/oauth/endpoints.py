"""Endpoints for programs: token, introspection, revocation, registration, launch, userinfo, keys.

Every answer, refusals included, is in the audit journal before it leaves.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    Unauthorized,
    VersionConflict,
)
from gateway.oauth.authenticate import claimed_client
from gateway.oauth.issuer import Asked, Reply, answer
from gateway.oauth.openid import userinfo as userinfo_answer
from gateway.oauth.registration import OPEN
from gateway.serve.caller import bearer, request_url
from gateway.serve.server import Server
from gateway.store.audit import Event
from gateway.wire.address import client_address

_log = logging.getLogger(__name__)
BODY_BYTES = 100_000
_SHARED_BY = 10


def add_endpoints(blueprint: Blueprint, server: Server) -> None:
    """Make the routes under /oauth that programs call."""
    oauth = server.oauth

    @blueprint.post("/oauth/token")
    def token() -> Response:
        return _answered(server, "token", lambda: _token(server))

    @blueprint.post("/oauth/introspect")
    def introspect() -> Response:
        return _answered(server, "introspect", lambda: oauth.introspect.answer(asked(server)))

    @blueprint.post("/oauth/revoke")
    def revoke() -> Response:
        return _answered(server, "revoke", lambda: oauth.revoke.answer(asked(server)))

    @blueprint.post("/oauth/launch")
    def launch() -> Response:
        return _answered(
            server, "launch", lambda: oauth.launch.answer(bearer(server), request.get_data())
        )

    @blueprint.post("/oauth/register")
    def register() -> Response:
        return _answered(server, "register", lambda: _register(server))

    @blueprint.route("/oauth/userinfo", methods=["GET", "POST"])
    def userinfo() -> Response:
        # For the journal: who the person is, was read.
        return _answered(server, "read", lambda: _userinfo(server), "Practitioner")

    @blueprint.get("/oauth/jwks")
    def jwks() -> Response:
        keys = answer(server.keyring.public_keys())
        return Response(
            keys.body, 200, {"Cache-Control": "max-age=300"}, content_type="application/json"
        )


def asked(server: Server) -> Asked:
    """Read the request; raises InvalidRequest for parameters in the address."""
    if request.args:
        raise InvalidRequest("parameters belong in the body")
    return Asked(
        request.method,
        request_url(server.settings),
        dict(request.form.lists()),
        request.headers.get("Authorization", ""),
        tuple(request.headers.getlist("DPoP")),
    )


def slow_down(server: Server, client: str) -> int:
    """Count a request; return the seconds to wait, 0 when it may be answered.

    By address and client together, so that nobody uses up the share of another; and by address
    alone, with room for a hospital behind one.
    """
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    proxies = server.settings.trusted_proxies
    address = client_address(request.remote_addr or "", forwarded, proxies)
    alone = server.oauth.rate.wait(f"{request.path} {address} {client}")
    return alone or server.oauth.rate.wait(f"{request.path} {address}", times=_SHARED_BY)


def record(server: Server, interaction: str, reply: Reply, target: str = "") -> None:
    """Put an answer into the audit journal; raises StoreUnavailable."""
    server.journal.record(
        Event(
            time=server.clock(),
            client=reply.client,
            interaction=interaction,
            target=target,
            status=reply.status,
            person=reply.person,
            patient=reply.patient,
            detail=reply.detail,
        )
    )


def _answered(
    server: Server, interaction: str, run: Callable[[], Reply], target: str = ""
) -> Response:
    request.max_content_length = BODY_BYTES
    try:
        reply = run()
    except (GatewayError, HTTPException) as error:
        reply = _refused(error)
    except Exception as error:
        # Where, never what: the text of an unexpected error may quote a secret.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)
        reply = answer({"error": "server_error"}, 500)
    try:
        record(server, _word(interaction), reply, target)
    except StoreUnavailable as error:
        reply = _refused(error)
    return Response(reply.body, reply.status, list(reply.headers))


def _word(interaction: str) -> str:
    try:
        refreshes = request.form.get("grant_type") == "refresh_token"
    except HTTPException:  # a body that is too long
        return interaction
    return "refresh" if refreshes and interaction == "token" else interaction


def _token(server: Server) -> Reply:
    given = asked(server)
    if seconds := slow_down(server, claimed_client(given)):
        return _too_often(seconds, claimed_client(given))
    return server.oauth.token.answer(given)


def _register(server: Server) -> Reply:
    endpoint = server.oauth.register
    if not endpoint.offered:
        raise NotFound("clients are added by an administrator")
    if seconds := slow_down(server, ""):
        return _too_often(seconds, "")
    who = None if endpoint.policy == OPEN else bearer(server)
    return endpoint.answer(who, request.get_data())


def _userinfo(server: Server) -> Reply:
    return userinfo_answer(server.oauth.issuer, bearer(server).caller)


def _too_often(seconds: int, client: str) -> Reply:
    reply = answer({"error": "temporarily_unavailable"}, 429, client=client, detail="too often")
    return Reply(429, reply.body, (*reply.headers, ("Retry-After", str(seconds))), client,
                 detail=reply.detail)  # fmt: skip


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (Unauthorized, "invalid_token"),
    (Forbidden, "insufficient_scope"),
    (NotFound, "not_found"),
    (InvalidRequest, "invalid_request"),
    (StoreUnavailable, "temporarily_unavailable"),
    (VersionConflict, "temporarily_unavailable"),
    (HTTPException, "invalid_request"),
)


def _refused(error: GatewayError | HTTPException) -> Reply:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "server_error")
    if isinstance(error, HTTPException):
        return answer({"error": code}, error.code or 400, detail=code)
    status = 503 if code == "temporarily_unavailable" else error.status
    about = {"error": code} | ({"error_description": str(error)} if status == 400 else {})
    reply = answer(about, status, detail=code)
    extra: tuple[tuple[str, str], ...] = ()
    if status in (401, 403):
        extra = (("WWW-Authenticate", f'Bearer error="{code}"'),)
    if status == 503:
        extra = (("Retry-After", "5"),)
    return Reply(status, reply.body, (*reply.headers, *extra), detail=code)
