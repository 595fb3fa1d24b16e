"""What this server declares about itself: the search parameter table, as a CapabilityStatement."""

from __future__ import annotations

from typing import Any

from gateway import __version__
from gateway.fhir import capability as fhir
from gateway.serve.fhir.identity import OPERATIONS
from gateway.serve.server import Server, token_url
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
    security = fhir.Security(token=token_url(server.settings), cors=True)
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
        type_,
        interactions=(*_READS, "search-type"),
        searches=searches,
        includes=includes,
        operations=[fhir.Operation(*one) for one in OPERATIONS] if type_ == "Patient" else (),
    )


def _note(parameter: Parameter) -> str:
    if parameter.patient:
        return _CHAIN
    return _NEEDS_SYSTEM if parameter.needs_system else ""
