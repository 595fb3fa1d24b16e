"""The CapabilityStatement, written from a declaration of what this server does.

Nothing is claimed here that the caller did not declare. FHIR version 4.0.1 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.fhir import terms
from gateway.fhir.terms import Json

_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
FORMATS = ("json", "application/fhir+json", "xml", "application/fhir+xml")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter; `type` is a FHIR search parameter type."""

    name: str
    type: str
    definition: str = ""
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, its name without the dollar sign."""

    name: str
    definition: str
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class TypeSupport:
    """What can be done with one resource type; one that is not `stored` has operations only."""

    type: str
    interactions: Sequence[str] = ("read",)
    profiles: Sequence[str] = ()
    searches: Sequence[SearchParameter] = ()
    includes: Sequence[str] = ()
    reverse_includes: Sequence[str] = ()
    operations: Sequence[Operation] = ()
    stored: bool = True
    conditional_create: bool = False
    conditional_update: bool = False
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """Where clients get tokens; an empty URL is not offered.

    `oauth-uris` has no place for the key set: it is named in the description, and in
    `smart-configuration`.
    """

    token: str = ""
    authorize: str = ""
    introspect: str = ""
    revoke: str = ""
    jwks: str = ""
    cors: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """Everything a CapabilityStatement says about this instance; `date` is a dateTime."""

    base_url: str
    version: str
    date: str
    types: Sequence[TypeSupport]
    security: Security = Security()
    interactions: Sequence[str] = ()
    operations: Sequence[Operation] = ()
    guides: Sequence[str] = (f"{terms.GR}/ImplementationGuide/hl7.fhir.uv.genomics-reporting",)
    compartments: Sequence[str] = ()
    formats: Sequence[str] = FORMATS
    documentation: str = ""
    name: str = "Genomics gateway"


def capability(server: Server) -> Json:
    """Write the CapabilityStatement of this instance."""
    return terms.put(
        {"resourceType": "CapabilityStatement"},
        {
            "status": "active",
            "date": server.date,
            "kind": "instance",
            "software": {"name": server.name, "version": server.version},
            "implementation": {"description": server.name, "url": server.base_url},
            "fhirVersion": terms.FHIR_VERSION,
            "format": list(server.formats),
            "implementationGuide": list(server.guides),
            "rest": [_rest(server)],
        },
    )


def _rest(server: Server) -> Json:
    return terms.put(
        {"mode": "server"},
        {
            "documentation": server.documentation,
            "security": _security(server.security),
            "resource": [_type(one) for one in server.types],
            "interaction": [{"code": code} for code in server.interactions],
            "operation": [_operation(one) for one in server.operations],
            "compartment": list(server.compartments),
        },
    )


def _security(security: Security) -> Json:
    offered = {
        "token": security.token,
        "authorize": security.authorize,
        "introspect": security.introspect,
        "revoke": security.revoke,
    }
    uris = [terms.extension(name, "valueUri", url) for name, url in offered.items() if url]
    if not uris:
        return {}
    complete = security.token and security.authorize
    return terms.put(
        {"cors": security.cors},
        {
            # The extension needs both URLs: a server without launches leaves it out.
            "extension": [{"url": _OAUTH_URIS, "extension": uris}] if complete else None,
            "service": [terms.concept(_SECURITY_SERVICE, "SMART-on-FHIR")],
            "description": f"Public keys: {security.jwks}" if security.jwks else None,
        },
    )


def _type(support: TypeSupport) -> Json:
    return terms.put(
        {"type": support.type},
        {
            "supportedProfile": list(support.profiles),
            "documentation": support.documentation,
            "interaction": [{"code": code} for code in support.interactions],
            **(_versions(support) if support.stored else {}),
            "searchInclude": list(support.includes),
            "searchRevInclude": list(support.reverse_includes),
            "searchParam": [_parameter(one) for one in support.searches],
            "operation": [_operation(one) for one in support.operations],
        },
    )


def _versions(support: TypeSupport) -> Json:
    writes = {"create", "update"} & set(support.interactions)
    return {
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False if writes else None,
        "conditionalCreate": True if support.conditional_create else None,
        "conditionalRead": "full-support",
        "conditionalUpdate": True if support.conditional_update else None,
    }


def _parameter(parameter: SearchParameter) -> Json:
    return terms.put(
        {"name": parameter.name},
        {
            "definition": parameter.definition,
            "type": parameter.type,
            "documentation": parameter.documentation,
        },
    )


def _operation(operation: Operation) -> Json:
    return terms.put(
        {"name": operation.name, "definition": operation.definition},
        {"documentation": operation.documentation},
    )
