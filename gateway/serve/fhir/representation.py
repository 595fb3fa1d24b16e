"""How an answer is written: its format, its indentation, and which part of it is wanted.

Stored text goes out as it is unless the client asked for XML, a part or indentation: only then
is it parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import InvalidRequest
from gateway.fhir.bundle import to_json
from gateway.fhir.reading import read_text
from gateway.fhir.subset import Summary, chosen, summarised
from gateway.fhir.terms import Json
from gateway.fhir.xml import to_xml
from gateway.serve.fhir.formats import JSON, XML, wanted

PARAMETERS = ("_format", "_pretty", "_summary", "_elements")
_WHOLE = frozenset({"OperationOutcome", "CapabilityStatement", "Binary", "Parameters"})
_WHOLE_BUNDLES = frozenset({"document", "transaction-response", "batch-response"})


@dataclass(frozen=True, slots=True)
class Representation:
    """What one client wants."""

    media: str = JSON
    pretty: bool = False
    summary: Summary = Summary.FALSE
    elements: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether a part of each resource is wanted."""
        return bool(self.elements) or self.summary not in (Summary.FALSE, Summary.COUNT)

    def write(self, text: str) -> str | bytes:
        """Write a resource that is JSON text."""
        if self.media == JSON and not self.pretty and not self.partial:
            return text
        return self.write_content(read_text(text))

    def write_content(self, content: Json) -> bytes:
        """Write a resource as `json.loads` gives it."""
        if self.partial:
            content = self._part(content)
        return to_xml(content) if self.media == XML else to_json(content, indent=self.pretty)

    def _part(self, content: Json) -> Json:
        type_ = content["resourceType"]
        if type_ == "Bundle":
            if content["type"] in _WHOLE_BUNDLES or "entry" not in content:
                return content
            return {**content, "entry": [self._part_of_entry(one) for one in content["entry"]]}
        if type_ in _WHOLE:
            return content
        if self.elements:
            return chosen(content, self.elements)
        return summarised(content, self.summary)

    def _part_of_entry(self, entry: Json) -> Json:
        if "resource" not in entry:
            return entry
        return {**entry, "resource": self._part(entry["resource"])}


@lru_cache(maxsize=512)
def representation(
    accept: str, format_: str, pretty: str, summary: str, elements: str
) -> Representation:
    """Read what was asked for; raises NotAcceptable, and InvalidRequest that names a parameter."""
    if pretty not in ("", "true", "false"):
        raise InvalidRequest("is true or false", where="_pretty")
    if summary not in ("", *Summary):
        raise InvalidRequest("is true, text, data, count or false", where="_summary")
    names = tuple(name for one in elements.split(",") if (name := one.strip()))
    asked = Summary(summary or Summary.FALSE)
    if names and asked not in (Summary.FALSE, Summary.COUNT):
        raise InvalidRequest("cannot stand beside _summary", where="_elements")
    return Representation(wanted(accept, format_), pretty == "true", asked, names)
