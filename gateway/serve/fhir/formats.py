"""Which representation the client asked for (R4 http.html, mime types)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gateway.errors import NotAcceptable, UnsupportedMedia

JSON = "application/fhir+json"
XML = "application/fhir+xml"
FORM = "application/x-www-form-urlencoded"
_JSON = frozenset({JSON, "application/json", "text/json"})
_XML = frozenset({XML, "application/xml", "text/xml"})
_SHORT = {"json": JSON, "xml": XML}
FORMATS = ("json", "xml", JSON, XML)
"""What a CapabilityStatement claims."""


@lru_cache(maxsize=256)
def wanted(accept: str, format_: str) -> str:
    """Return JSON or XML, whichever the client likes best; `_format` outranks Accept.

    Raises NotAcceptable when it takes neither.
    """
    for kind in _asked(accept, format_):
        if any(_matches(kind, one) for one in _JSON):
            return JSON
        if kind in _XML:
            return XML
    raise NotAcceptable(f"FHIR is served as {JSON} and {XML}")


@lru_cache(maxsize=256)
def wanted_of_binary(accept: str, format_: str, content_type: str) -> str:
    """Return how a Binary is wanted: as FHIR (JSON or XML), or empty for its own bytes.

    The bytes are the default (R4 binary.html); raises NotAcceptable when none is acceptable.
    """
    for kind in _asked(accept, format_):
        if kind in _JSON:
            return JSON
        if kind in _XML:
            return XML
        if _matches(kind, content_type):
            return ""
    raise NotAcceptable("this Binary is neither of the types asked for nor asked for as FHIR")


def sent_as_xml(content_type: str) -> bool:
    """Whether a body is XML, else JSON; raises UnsupportedMedia for anything else."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _JSON | _XML or _quality(content_type) == 0:
        raise UnsupportedMedia(f"send {JSON} or {XML}")
    return kind in _XML


def _asked(accept: str, format_: str) -> Iterator[str]:
    """Yield the acceptable types, best first."""
    if format_:
        # A plus sign that was not encoded arrives as a space.
        name = format_.split(";")[0].strip().replace(" ", "+").lower()
        yield _SHORT.get(name, name)
        return
    ranked = [(_quality(part), part.split(";")[0].strip().lower()) for part in accept.split(",")]
    ranked = [item for item in ranked if item[0] > 0 and item[1]]
    for _, kind in sorted(ranked, key=lambda item: -item[0]):
        yield kind
    if not accept.strip():
        yield "*/*"


def _quality(part: str) -> float:
    quality = 1.0
    for parameter in part.split(";")[1:]:
        name, _, value = (text.strip().lower() for text in parameter.partition("="))
        if name == "fhirversion" and value.strip('"') != "4.0":
            return 0.0
        if name == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
    return quality


def _matches(kind: str, offered: str) -> bool:
    return kind in ("*/*", "*", offered) or kind == offered.split("/")[0] + "/*"
