"""What this server declares about itself: the search parameter table, as a CapabilityStatement."""

from __future__ import annotations

from typing import Any

from gateway import __version__
from gateway.fhir import capability as fhir
from gateway.serve.fhir.audit import AUDIT
from gateway.serve.fhir.audit_query import PARAMETERS as AUDIT_PARAMETERS
from gateway.serve.server import Server
from gateway.store.dates import instant_text
from gateway.store.parameters import COMMON, PARAMETERS, READ_ONLY, Kind, Parameter

_READS = ("read", "vread", "history-instance")
_FORMATS = ("json", "application/fhir+json")
_COMMON_KINDS = {"_id": "token", "_lastUpdated": "date"}
_NEEDS_SYSTEM = "Needs system|value: other identifiers may have the same digits."
_CHAIN = "Can be chained to identifier, as system|value."


def statement(server: Server) -> dict[str, Any]:
    """Return the CapabilityStatement of this instance."""
    types = [_searchable(type_) for type_ in sorted(PARAMETERS)]
    types += [fhir.TypeSupport(type_, interactions=_READS) for type_ in sorted(READ_ONLY)]
    types.append(_audit())
    issuer = server.oauth.issuer
    security = fhir.Security(
        token=issuer.endpoint("token"), authorize=issuer.endpoint("authorize"),
        introspect=issuer.endpoint("introspect"), revoke=issuer.endpoint("revoke"),
        jwks=issuer.endpoint("jwks"), cors=True,
    )  # fmt: skip
    return fhir.capability(
        fhir.Server(
            base_url=server.settings.fhir_base,
            version=__version__,
            date=instant_text(server.clock()),
            types=types,
            security=security,
            formats=_FORMATS,
        )
    )


def _audit() -> fhir.TypeSupport:
    searches = [fhir.SearchParameter(name, kind) for name, kind in AUDIT_PARAMETERS.items()]
    return fhir.TypeSupport(
        AUDIT, interactions=("read", "search-type"), searches=searches, versioning="no-version",
        documentation="IHE BALP; needs a scope that names it: system/*.rs does not mean it.",
    )  # fmt: skip


def _searchable(type_: str) -> fhir.TypeSupport:
    own = PARAMETERS[type_]
    searches = [fhir.SearchParameter(name, _COMMON_KINDS[name]) for name in COMMON]
    searches += [
        fhir.SearchParameter(parameter.name, parameter.kind.value, documentation=_note(parameter))
        for parameter in own.values()
    ]
    references = [name for name, parameter in own.items() if parameter.kind is Kind.REFERENCE]
    includes = [f"{type_}:{name}" for name in (*references, *(["*"] if references else []))]
    return fhir.TypeSupport(
        type_, interactions=(*_READS, "search-type"), searches=searches, includes=includes
    )


def _note(parameter: Parameter) -> str:
    if parameter.patient:
        return _CHAIN
    return _NEEDS_SYSTEM if parameter.needs_system else ""
