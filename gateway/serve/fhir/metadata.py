"""What this server declares about itself: its routes and search parameters, as a statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway import __version__
from gateway.fhir import capability as fhir
from gateway.serve.fhir.audit import AUDIT
from gateway.serve.fhir.audit_query import PARAMETERS as OF_AUDIT
from gateway.serve.fhir.formats import FORMATS
from gateway.serve.fhir.registry import IN_COMPARTMENT, Route
from gateway.serve.server import Server
from gateway.store.dates import instant_text
from gateway.store.search.parameters import COMMON, EVERYWHERE, PARAMETERS, Kind, Parameter

_SYSTEM = ("transaction", "batch", "search-system", "history-system")
_COMMON_KINDS = {"_id": "token", "_lastUpdated": "date"}
_NEEDS_SYSTEM = "Needs system|value: other identifiers may have the same digits."
_CHAIN = "Whose record it is; chained to identifier, it needs system|value."
_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/patient"
NORMATIVE = frozenset({"Binary", "Observation", "Patient"})
"""Types of ours that are normative in R4: what mode=normative tells of."""


def statement(server: Server, routes: Sequence[Route]) -> dict[str, Any]:
    """Return the CapabilityStatement of this instance."""
    types = sorted({type_ for route in routes for type_ in route.types})
    issuer = server.oauth.issuer
    security = fhir.Security(
        token=issuer.endpoint("token"), authorize=issuer.endpoint("authorize"),
        introspect=issuer.endpoint("introspect"), revoke=issuer.endpoint("revoke"),
        jwks=issuer.endpoint("jwks"), cors=True,
    )  # fmt: skip
    base = server.settings.base_url.rstrip("/")
    here = [route for route in routes if not route.types]
    return fhir.capability(
        fhir.Server(
            base_url=server.settings.fhir_base,
            version=__version__,
            date=instant_text(server.clock()),
            types=[_type(type_, routes) for type_ in types],
            security=security,
            interactions=[code for code in _SYSTEM if code in {route.code for route in here}],
            operations=_operations(here),
            compartments=(_COMPARTMENT,) if _has(routes, IN_COMPARTMENT) else (),
            formats=FORMATS,
            documentation=f"Every request of this server is described at {base}/docs/api",
        )
    )


def _has(routes: Iterable[Route], code: str) -> bool:
    return any(route.code == code for route in routes)


def _type(type_: str, routes: Sequence[Route]) -> fhir.TypeSupport:
    mine = [route for route in routes if type_ in route.types]
    codes = dict.fromkeys(
        route.code
        for route in mine
        if not route.code.startswith("$") and route.code != IN_COMPARTMENT
    )
    searched = "search-type" in codes
    return fhir.TypeSupport(
        type_,
        interactions=list(codes),
        searches=_searches(type_) if searched else (),
        includes=_includes(type_) if searched else (),
        reverse_includes=_reverse_includes(type_) if searched else (),
        operations=_operations(mine),
        stored="read" in codes,
        conditional_create=any(route.conditional == "create" for route in mine),
        conditional_update=any(route.conditional == "update" for route in mine),
    )


def _operations(routes: Iterable[Route]) -> list[fhir.Operation]:
    found = {
        route.code: fhir.Operation(route.code[1:], route.definition, route.summary)
        for route in routes
        if route.code.startswith("$")
    }
    return list(found.values())


def _searches(type_: str) -> list[fhir.SearchParameter]:
    return [
        fhir.SearchParameter(name, kind, documentation=note)
        for name, kind, note in parameters(type_)
    ]


def parameters(type_: str) -> list[tuple[str, str, str]]:
    """Return name, kind and a note of every search parameter of a type."""
    if type_ == AUDIT:  # searched in the index of the audit, not in that of resources
        return [(name, kind, "") for name, kind in OF_AUDIT.items()]
    made = [(name, _COMMON_KINDS[name], "") for name in COMMON]
    every = [*EVERYWHERE.values(), *PARAMETERS[type_].values()]
    return made + [(one.name, one.kind.value, _note(one)) for one in every]


def _includes(type_: str) -> list[str]:
    own = PARAMETERS.get(type_, {}).values()
    references = [one.name for one in own if one.kind is Kind.REFERENCE]
    return [f"{type_}:{name}" for name in (*references, *(["*"] if references else []))]


def _reverse_includes(type_: str) -> list[str]:
    return [
        f"{source}:{one.name}"
        for source in sorted(PARAMETERS)
        for one in PARAMETERS[source].values()
        if one.kind is Kind.REFERENCE and type_ in one.targets
    ]


def _note(parameter: Parameter) -> str:
    if parameter.patient:
        return _CHAIN
    return _NEEDS_SYSTEM if parameter.needs_system else ""


def only_normative(full: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a statement that is about normative types."""
    rest = full["rest"][0]
    kept = [one for one in rest["resource"] if one["type"] in NORMATIVE]
    return {**full, "rest": [{**rest, "resource": kept}]}
