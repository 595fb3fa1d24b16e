"""Shows the ethnic category to who asked for it by scope (special-category data).

It is in the patient index and not in the stored resources: whoever does not ask never gets it,
by whatever way they read. An answer with current Patients is parsed and completed here; earlier
versions and exports have none.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, g

from gateway.access.scopes import ETHNICITY
from gateway.fhir.ethnicity import with_ethnic_category
from gateway.serve.fhir.formats import JSON
from gateway.serve.server import Server
from gateway.store.patients import ethnic_categories

_HISTORY = ("vread", "history-instance", "history-type", "history-system")


def add_ethnicity(blueprint: Blueprint, server: Server) -> None:
    """Complete the answers of a blueprint."""

    @blueprint.after_request
    def complete(response: Response) -> Response:
        visit = g.get("visit")
        wanted = visit is not None and ETHNICITY in visit.access.others
        if wanted and visit.interaction not in _HISTORY and _is_json(response):
            response.set_data(_completed(server, response.get_data()))
        return response


def _is_json(response: Response) -> bool:
    return response.status_code == 200 and response.content_type.startswith(JSON)


def _completed(server: Server, body: bytes) -> bytes:
    if b'"resourceType":"Patient"' not in body:
        return body
    content: dict[str, Any] = orjson.loads(body)
    entries = content.get("entry", [])
    shown = [one.get("resource", {}) for one in entries] if entries else [content]
    ids = [one["id"] for one in shown if one.get("resourceType") == "Patient"]
    with server.database.read() as connection:
        codes = ethnic_categories(connection, ids)
    if not entries:
        return orjson.dumps(with_ethnic_category(content, codes.get(content.get("id", ""), "")))
    for entry in entries:
        resource = entry.get("resource", {})
        if resource.get("resourceType") == "Patient":
            entry["resource"] = with_ethnic_category(resource, codes.get(resource["id"], ""))
    return orjson.dumps(content)
