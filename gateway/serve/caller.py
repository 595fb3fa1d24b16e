"""Who sends the request at hand, by its access token."""

from __future__ import annotations

from flask import request

from gateway.access.access import Access
from gateway.config import Settings
from gateway.oauth.bearer import Bearer
from gateway.oauth.dpop import Proof
from gateway.serve.server import Server


def request_url(settings: Settings) -> str:
    """Return the URL of this request without its query, as clients see it."""
    return settings.base_url.rstrip("/") + request.path


def proof(settings: Settings) -> Proof:
    """Return what the request says about its key (DPoP)."""
    given = tuple(request.headers.getlist("DPoP"))
    return Proof(request.method, request_url(settings), given)


def bearer(server: Server) -> Bearer:
    """Return who holds the token of this request; raises Unauthorized."""
    return server.bearers.bearer(request.headers.get("Authorization"), proof(server.settings))


def caller_access(server: Server) -> Access:
    """Return what the caller may see; raises Unauthorized."""
    return bearer(server).access
