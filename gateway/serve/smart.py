"""SMART on FHIR: discovery, and the doors of the authorization server."""

from __future__ import annotations

from flask import Blueprint, Response, request

from gateway.serve.oauth.discovery import add_discovery
from gateway.serve.oauth.endpoints import add_endpoints
from gateway.serve.oauth.pages import consent_blueprint
from gateway.serve.server import Server

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, DPoP",
    "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate",
    "Access-Control-Max-Age": "600",
}
_PAGES = "/oauth/authorize"


def smart_blueprint(server: Server) -> Blueprint:
    """Make the routes under /oauth and /.well-known."""
    blueprint = Blueprint("smart", __name__)
    add_discovery(blueprint, server)
    add_endpoints(blueprint, server)
    blueprint.register_blueprint(consent_blueprint(server))
    blueprint.after_request(_open)
    return blueprint


def _open(response: Response) -> Response:
    # A page of a person's is for that person's browser only.
    if not request.path.startswith(_PAGES):
        response.headers.update(_CORS)
    return response
