"""The whole HTTP surface as an OpenAPI 3.1 document, from what is registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway import __version__
from gateway.serve.doors import DOORS, Door
from gateway.serve.fhir.formats import FORM, JSON, XML
from gateway.serve.fhir.metadata import parameters
from gateway.serve.fhir.registry import Asked, Route

Json = dict[str, Any]

_PLACE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_SHOWN = (
    Asked("_format", "`json`, `xml` or a media type; outranks Accept."),
    Asked("_pretty", "Indents JSON.", "boolean"),
    Asked("_summary", "`true`, `text`, `data`, `count` or `false`."),
    Asked("_elements", "Elements wanted, comma-separated."),
)
_PREFER = "`return=minimal`, `representation` or `OperationOutcome`; `handling=strict` or `lenient`"
_TITLE = "Genomics gateway"


def openapi(routes: Sequence[Route], rules: Iterable[tuple[str, str, str]], base_url: str) -> Json:
    """Write the document; `rules` are (method, Flask rule, endpoint) of everything else."""
    paths: dict[str, Json] = {}
    for route in routes:
        for path, type_ in _paths(route):
            item = paths.setdefault(path, {})
            item.setdefault(route.method.lower(), _of_route(route, path, type_))
    for method, rule, endpoint in sorted(rules):
        door = DOORS.get((method, rule)) or Door("Other", endpoint.replace(".", ": "))
        path = _templated(rule)
        paths.setdefault(path, {}).setdefault(method.lower(), _of_door(door, method, path))
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": __version__,
                 "description": "Genomic reports as FHIR R4 4.0.1, and the doors around them."},
        "servers": [{"url": base_url.rstrip("/")}],
        "paths": dict(sorted(paths.items())),
        "components": _components(base_url.rstrip("/")),
    }  # fmt: skip


def _paths(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the paths of a route: one for each type where its parameters depend on the type."""
    rule = f"/fhir{route.rules[0]}"
    if rule.startswith("/fhir/<type_>") and "<id_>" not in rule:
        for type_ in sorted(route.types):
            yield _templated(rule.replace("<type_>", type_)), type_
    else:
        yield _templated(rule), route.type_


def _templated(rule: str) -> str:
    return _PLACE.sub(lambda found: "{" + found[1].rstrip("_") + "}", rule)


# -- FHIR -----------------------------------------------------------------------------------


def _of_route(route: Route, path: str, type_: str) -> Json:
    asked = [*route.asked, *(_searched(type_) if route.code == "search-type" else ()), *_SHOWN]
    query = [_query(one) for one in asked if not one.name.startswith("<")]
    written = route.body in ("resource", "bundle")
    made: Json = {
        "tags": ["FHIR operations" if route.code.startswith("$") else f"FHIR {type_}".strip()],
        "operationId": f"{route.method.lower()} {path}",
        "summary": route.summary,
        "parameters": [*_in_path(path, route), *query, *_headers(route)],
        "responses": _answers(route),
        "security": [{"token": []}],
    }
    if route.body:
        made["requestBody"] = _body(route.body)
    if written:
        made["parameters"].append(_header("Prefer", _PREFER))
    return made


def _searched(type_: str) -> Iterator[Asked]:
    for name, kind, note in parameters(type_):
        yield Asked(name, f"A {kind} parameter. {note}".strip(), repeats=True)


def _in_path(path: str, route: Route) -> list[Json]:
    made = []
    for name in re.findall(r"\{(\w+)\}", path):
        schema: Json = {"type": "string"}
        if name == "type":
            schema["enum"] = sorted(route.types)
        made.append({"name": name, "in": "path", "required": True, "schema": schema})
    return made


def _query(one: Asked) -> Json:
    schema: Json = {"type": one.type}
    if one.repeats:
        schema = {"type": "array", "items": schema}
    return {"name": one.name, "in": "query", "description": one.text, "schema": schema}


def _headers(route: Route) -> list[Json]:
    given = {
        "read": ("If-None-Match", "If-Modified-Since"), "vread": ("If-None-Match",),
        "create": ("If-None-Exist",), "update": ("If-Match",),
    }  # fmt: skip
    return [_header(name, "") for name in given.get(route.code, ())]


def _header(name: str, text: str) -> Json:
    made: Json = {"name": name, "in": "header", "schema": {"type": "string"}}
    return {**made, "description": text} if text else made


def _body(kind: str) -> Json:
    if kind == "form":
        schema = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"content": {FORM: {"schema": schema}}}
    schema = {"$ref": "#/components/schemas/Resource"}
    return {"required": True, "content": {JSON: {"schema": schema}, XML: {"schema": {}}}}


def _answers(route: Route) -> Json:
    content: Json = {XML: {"schema": {}}}
    content[JSON] = {"schema": {"$ref": "#/components/schemas/Resource"}}
    good: Json = {"200": {"description": "As asked", "content": content}}
    if route.code in ("read", "vread"):
        good["200"] = {"description": "As asked; a Binary may be its own bytes",
                       "content": {**content, "*/*": {"schema": {}}}}  # fmt: skip
        good["304"] = {"description": "What the client has is the newest"}
    if route.body == "resource":
        good["201"] = {"description": "Made", "content": content}
    refused: Json = {XML: {"schema": {}}}
    refused[JSON] = {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}
    return {**good, "default": {"description": "Refused, and why", "content": refused}}


# -- all other doors ------------------------------------------------------------------------


def _of_door(door: Door, method: str, path: str) -> Json:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    parameters += [_query(Asked(name, text)) for name, text in door.asked]
    made: Json = {
        "tags": [door.tag],
        "operationId": f"{method.lower()} {path}",
        "summary": door.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "As asked", "content": {door.gives: {"schema": {}}}},
            "default": {"description": "Refused, and why"},
        },
        "security": [{"token": []}] if door.token else [],
    }
    if door.form:
        fields = {name: {"type": "string"} for name in door.form}
        schema = {"type": "object", "properties": fields, "required": list(door.form[:1])}
        made["requestBody"] = {"required": True, "content": {FORM: {"schema": schema}}}
    elif door.takes:
        text = {"schema": {"type": "string"}}
        made["requestBody"] = {"required": True, "content": dict.fromkeys(door.takes, text)}
    return made


def _components(base_url: str) -> Json:
    resource = {"type": "object", "properties": {"resourceType": {"type": "string"}},
                "required": ["resourceType"]}  # fmt: skip
    fixed = {"resourceType": {"const": "OperationOutcome"}, "issue": {"type": "array"}}
    outcome = {"type": "object", "properties": fixed, "required": ["resourceType", "issue"]}
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": {"system/*.rs": "read everything"}}
    return {
        "schemas": {"Resource": resource, "OperationOutcome": outcome},
        "securitySchemes": {"token": {"type": "oauth2", "flows": {"clientCredentials": flow}}},
    }
