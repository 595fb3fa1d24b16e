"""Which representation the client asked for (R4 http.html, mime types)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gateway.errors import NotAcceptable

JSON = "application/fhir+json"
_JSON = frozenset({JSON, "application/json", "text/json"})
_SHORT = {"json": JSON, "xml": "application/fhir+xml"}


@lru_cache(maxsize=256)
def require_json(accept: str, format_: str) -> None:
    """Raise NotAcceptable unless JSON is acceptable; `_format` outranks Accept."""
    asked = list(_asked(accept, format_))
    if not any(_matches(kind, json) for kind in asked for json in _JSON):
        raise NotAcceptable("only JSON is served: application/fhir+json")


@lru_cache(maxsize=256)
def wants_fhir(accept: str, format_: str, content_type: str) -> bool:
    """Whether a Binary is wanted as a FHIR resource; False for its own bytes.

    The bytes are the default (R4 binary.html); raises NotAcceptable when neither is acceptable.
    """
    for kind in _asked(accept, format_):
        if kind in _JSON:
            return True
        if _matches(kind, content_type):
            return False
    raise NotAcceptable("this Binary is neither of the types asked for nor asked for as JSON")


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
