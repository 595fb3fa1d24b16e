"""What this server does over FHIR, once: routes, CapabilityStatement and OpenAPI come from here.

A claim without a route cannot be written, nor a route that is not claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response

from gateway.errors import NotAllowed, NotFound
from gateway.serve.fhir.visit import Visit, enter
from gateway.serve.server import Server
from gateway.store.search.parameters import TYPES

View = Callable[..., Response]
IN_COMPARTMENT = "search-compartment"
"""The code of what FHIR has no code for: a search in the record of one patient."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter of a route, as OpenAPI describes it; `type` is a JSON schema type."""

    name: str
    text: str
    type: str = "string"
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One interaction or operation: how it is asked for, and what answers.

    `code` is a FHIR interaction (`read`), or an operation's name with its dollar sign. `types`
    are what it is for, none for the whole system. `type_` fixes the type where the rule names it.
    `body` is what a request carries: resource, form, parameters, bundle or nothing.
    """

    code: str
    method: str
    rules: tuple[str, ...]
    view: View
    summary: str
    types: frozenset[str] = frozenset()
    type_: str = ""
    definition: str = ""
    asked: tuple[Asked, ...] = ()
    body: str = ""
    conditional: str = ""

    @property
    def audited(self) -> str:
        """The word for it in the audit journal."""
        if self.code == IN_COMPARTMENT:
            return "search-type"
        return f"operation:{self.code[1:]}" if self.code.startswith("$") else self.code

    def target(self, type_: str, args: Mapping[str, str]) -> str:
        """Return what is asked about: `Type`, `Type/id`, `Type/id/_history/n`."""
        id_, version = args.get("id_", ""), args.get("version", "")
        if self.code == IN_COMPARTMENT:
            return f"Patient/{id_}/{type_}"
        named = (type_, id_, "_history" if version else "", version)
        return "/".join(part for part in named if part)


def register(blueprint: Blueprint, server: Server, routes: Iterable[Route]) -> None:
    """Make every route; each request is entered, so audited, before anything else."""
    for number, route in enumerate(routes):
        view = _entering(server, route)
        for rule in route.rules:
            blueprint.add_url_rule(rule, f"{number}{route.audited}", view, methods=[route.method])


def _entering(server: Server, route: Route) -> Callable[..., Response]:
    def view(**args: Any) -> Response:
        type_ = args.get("type_", route.type_)
        visit: Visit = enter(server, route.audited, route.target(type_, args))
        if route.types and type_ not in route.types:
            raise _refusal(route, type_)
        return route.view(visit, **args)

    return view


def _refusal(route: Route, type_: str) -> NotFound | NotAllowed:
    if type_ not in TYPES:
        return NotFound("this server has no such resource type")
    if route.body == "resource":
        return NotAllowed(f"{type_} is written by messages, not over FHIR")
    return NotAllowed("this is not served for this resource type")
