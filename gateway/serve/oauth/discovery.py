"""Discovery: where everything is, for anybody who asks."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response

from gateway.oauth.discovery import oauth_metadata, openid_configuration, smart_configuration
from gateway.serve.server import Server
from gateway.store.search.parameters import TYPES

_OPENID = "/.well-known/openid-configuration"


def add_discovery(blueprint: Blueprint, server: Server) -> None:
    """Make the routes of the three documents."""
    issuer = server.oauth.issuer
    metadata = oauth_metadata(issuer, TYPES, registers=server.oauth.register.offered)
    openid = openid_configuration(metadata, issuer)
    documents: dict[str, dict[str, Any]] = {
        "/fhir/.well-known/smart-configuration": smart_configuration(metadata),
        "/.well-known/oauth-authorization-server": metadata,
        _OPENID: openid,
        f"/fhir{_OPENID}": openid,
    }
    for path, document in documents.items():
        _add(blueprint, path, orjson.dumps(document))


def _add(blueprint: Blueprint, path: str, document: bytes) -> None:
    def show() -> Response:
        return Response(document, content_type="application/json")

    blueprint.add_url_rule(path, path.strip("/").replace(".", "").replace("/", "_"), show)
