"""SMART: the discovery document and the token endpoint."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, request

from gateway.access.scopes import OTHER_SCOPES
from gateway.errors import StoreUnavailable
from gateway.oauth.keys import ALGORITHMS
from gateway.oauth.token import GRANT, METHOD
from gateway.serve.server import Server, token_url
from gateway.store.parameters import TYPES

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type",
}
_FORM_BYTES = 100_000


def smart_blueprint(server: Server) -> Blueprint:
    """Make /fhir/.well-known/smart-configuration and /oauth/token."""
    blueprint = Blueprint("smart", __name__)
    document = orjson.dumps(configuration(token_url(server.settings)))

    @blueprint.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        return Response(document, content_type="application/json")

    @blueprint.post("/oauth/token")
    def token() -> Response:
        request.max_content_length = _FORM_BYTES
        form = dict(request.form.lists())
        reply = server.tokens.answer(request.method, form, dict(request.headers))
        return Response(reply.body, reply.status, list(reply.headers))

    blueprint.register_error_handler(StoreUnavailable, _unavailable)
    blueprint.after_request(_open)
    return blueprint


def configuration(token_endpoint: str) -> dict[str, Any]:
    """Return the discovery document (SMART App Launch 2.2, conformance): what works, only."""
    return {
        "token_endpoint": token_endpoint,
        "token_endpoint_auth_methods_supported": [METHOD],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": [GRANT],
        # Required by the standard even where, as here, nobody is sent to authorize.
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [
            "system/*.rs",
            *(f"system/{type_}.rs" for type_ in sorted(TYPES)),
            *sorted(OTHER_SCOPES),
        ],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


def _unavailable(error: StoreUnavailable) -> Response:
    # RFC 6749 has no code for it on the token endpoint; this is the one of section 4.1.2.1.
    body = orjson.dumps({"error": "temporarily_unavailable"})
    return Response(body, 503, {"Retry-After": "5"}, content_type="application/json")


def _open(response: Response) -> Response:
    response.headers.update(_CORS)
    if request.path == "/oauth/token":
        response.headers.update(_NO_STORE)
    return response
