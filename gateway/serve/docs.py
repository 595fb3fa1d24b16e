"""The description of the HTTP surface: /openapi.json for programs, /docs/api for people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, render_template

from gateway import __version__
from gateway.config import Settings
from gateway.serve.compress import compressed
from gateway.serve.doors import DOORS
from gateway.serve.fhir.registry import Route
from gateway.serve.openapi import openapi
from gateway.store.search.parameters import PARAMETERS

_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Cache-Control": "max-age=300",
}  # fmt: skip
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_KINDS = {
    "read": "By id", "vread": "By id", "history": "Histories", "search": "Searches",
    "create": "Writes", "update": "Writes", "transaction": "Writes", "batch": "Writes",
}  # fmt: skip


def docs_blueprint(settings: Settings, routes: Sequence[Route]) -> Blueprint:
    """Make /openapi.json and /docs/api; both say what is registered when they are first asked."""
    blueprint = Blueprint("docs", __name__, template_folder="templates")
    style = (Path(__file__).parent / "static" / "api.css").read_bytes()

    @lru_cache(maxsize=1)
    def document() -> bytes:
        return orjson.dumps(openapi(routes, _others(), settings.base_url))

    @lru_cache(maxsize=1)
    def page() -> str:
        return render_template("api.html", **_shown(settings, routes))

    @blueprint.get("/openapi.json")
    def description() -> Response:
        return Response(document(), content_type="application/json")

    @blueprint.get("/docs/api")
    def readable() -> Response:
        return Response(page(), content_type="text/html; charset=utf-8")

    @blueprint.get("/docs/api.css")
    def stylesheet() -> Response:
        return Response(style, content_type="text/css; charset=utf-8")

    blueprint.after_request(_finished)
    return blueprint


def _finished(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return compressed(response)


def _others() -> list[tuple[str, str, str]]:
    """Return (method, rule, endpoint) of every door that is not in the registry."""
    return [
        (method, rule.rule, rule.endpoint)
        for rule in current_app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & set(_METHODS))
        if not rule.endpoint.startswith("fhir.") or rule.endpoint == "fhir.metadata"
    ]


def _shown(settings: Settings, routes: Sequence[Route]) -> dict[str, Any]:
    """Return what the page shows: routes by kind, doors by tag, parameters by type."""
    kinds: dict[str, list[Route]] = {}
    for route in routes:
        operation = route.code.startswith("$")
        name = "Operations" if operation else _KINDS[route.code.partition("-")[0]]
        kinds.setdefault(name, []).append(route)
    tags: dict[str, list[Any]] = {}
    for method, rule, endpoint in sorted(_others(), key=lambda one: one[1]):
        door = DOORS.get((method, rule))
        row = (method, rule, door.summary if door else endpoint, bool(door and door.token))
        tags.setdefault(door.tag if door else "Other", []).append(row)
    return {
        "version": __version__,
        "base": settings.base_url.rstrip("/"),
        "kinds": kinds,
        "tags": tags,
        "parameters": {type_: list(PARAMETERS[type_].values()) for type_ in sorted(PARAMETERS)},
    }
