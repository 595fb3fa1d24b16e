"""Resources as FHIR XML (R4 xml.html): elements in the order of their class, values as attributes.

The order comes from fhir.resources' class metadata; no model object is built, so decimals and
dates keep the text that they have in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import quoteattr

from gateway.errors import InvalidValue
from gateway.fhir.conformance.structure import unwrap
from gateway.fhir.terms import Json

_NAMESPACE = "http://hl7.org/fhir"
_RESOURCES = frozenset({"resource", "contained", "outcome"})


def to_xml(resource: Json) -> bytes:
    """Write a resource (as `json.loads` gives it) in UTF-8.

    Raises InvalidValue that names the element when it is not one of its class.
    """
    type_ = resource["resourceType"]
    inner = "".join(_children(resource, type_, type_))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{type_} xmlns="{_NAMESPACE}">{inner}</{type_}>'
    ).encode()


def _children(value: Json, class_: str, where: str) -> Iterator[str]:
    order = _elements(class_)
    names = {name.removeprefix("_") for name in value} - {"resourceType"}
    if unknown := names - order.keys():
        raise InvalidValue("this element is not defined here", where=f"{where}.{min(unknown)}")
    attributes = () if "resourceType" in value else _attributes(class_)
    for name in sorted(names.difference(attributes), key=lambda name: order[name][0]):
        yield from _element(value, name, order[name][1], f"{where}.{name}")


def _attributes(class_: str) -> tuple[str, ...]:
    """`url` is an attribute of an Extension only; `id` of everything that is no resource."""
    return ("id", "url") if class_ == "Extension" else ("id",)


def _element(parent: Json, name: str, class_: str, where: str) -> Iterator[str]:
    values, twins = (_listed(parent.get(key)) for key in (name, f"_{name}"))
    for at in range(max(len(values), len(twins))):
        value = values[at] if at < len(values) else None
        twin = twins[at] if at < len(twins) else None
        if name in _RESOURCES and isinstance(value, dict) and "resourceType" in value:
            type_ = value["resourceType"]
            inner = "".join(_children(value, type_, where))
            yield f"<{name}><{type_}>{inner}</{type_}></{name}>"
        elif isinstance(value, dict):
            yield _complex(name, value, class_, where)
        elif name == "div":
            yield str(value)
        else:
            yield _primitive(name, value, twin or {}, where)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _complex(name: str, value: Json, class_: str, where: str) -> str:
    shown = "".join(
        f" {key}={quoteattr(str(value[key]))}" for key in _attributes(class_) if key in value
    )
    inner = "".join(_children(value, class_, where))
    return f"<{name}{shown}>{inner}</{name}>" if inner else f"<{name}{shown}/>"


def _primitive(name: str, value: Any, twin: Json, where: str) -> str:
    shown = "".join(f" {key}={quoteattr(str(twin[key]))}" for key in ("id",) if key in twin)
    if value is not None:
        shown += f" value={quoteattr(_text(value))}"
    inner = "".join(_children(twin, "Element", where))
    return f"<{name}{shown}>{inner}</{name}>" if inner else f"<{name}{shown}/>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@lru_cache(maxsize=512)
def _elements(class_: str) -> dict[str, tuple[int, str]]:
    """The elements of a class: their place in its order, and the class that each is of."""
    from fhir.resources.R4B import get_fhir_model_class  # a tenth of a second, 20 MiB

    model: Any = get_fhir_model_class(class_)
    fields = {field.alias or key: field for key, field in model.model_fields.items()}
    kinds = {name: unwrap(field)[1] for name, field in fields.items()}
    return {
        name: (place, "" if isinstance(kind := kinds[name], str) else _name_of(kind))
        for place, name in enumerate(model.elements_sequence())
    }


def _name_of(kind: Any) -> str:
    return str(kind.__name__.removesuffix("Type"))
