"""Resources as FHIR XML and back (R4 xml.html): elements in order, values as attributes.

The order comes from fhir.resources' class metadata; no model object is built, so decimals and
dates keep the text that they have in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any
from xml.sax.saxutils import quoteattr

from gateway.errors import InvalidValue
from gateway.fhir.classes import Member, members
from gateway.fhir.terms import Json
from gateway.wire.xml import Element, read_xml

_NAMESPACE = "http://hl7.org/fhir"
_XHTML = "http://www.w3.org/1999/xhtml"
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
    order = members(class_)
    names = {name.removeprefix("_") for name in value} - {"resourceType"}
    if unknown := names - order.keys():
        raise InvalidValue("this element is not defined here", where=f"{where}.{min(unknown)}")
    attributes = () if "resourceType" in value else _attributes(class_)
    for name in sorted(names.difference(attributes), key=lambda name: order[name].place):
        yield from _element(value, name, order[name].kind, f"{where}.{name}")


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


# -- read -----------------------------------------------------------------------------------


def from_xml(raw: bytes) -> Json:
    """Read a resource; numbers become int and Decimal, as `json.loads` would give them.

    Raises InvalidValue that names the element which is not one of its class, stands out of
    order, or has a value that its type cannot have; MessageTooLarge.
    """
    root = read_xml(raw, verbatim=frozenset({_XHTML}))
    return _resource(root, root.name)


def _resource(node: Element, where: str) -> Json:
    if node.namespace != _NAMESPACE:
        raise InvalidValue("is not in the namespace of FHIR", where=where)
    try:
        members(node.name)
    except LookupError as error:
        raise InvalidValue("is no resource type of R4", where=where) from error
    return {"resourceType": node.name, **_object(node, node.name, where)}


def _object(node: Element, class_: str, where: str) -> Json:
    """Read what is inside an element of a class; `id` and `url` of elements are attributes."""
    order = members(class_)
    made: Json = {}
    for name, value in node.attributes.items():
        if name not in _attributes(class_) or name not in order:
            raise InvalidValue("this attribute is not defined here", where=where)
        made[name] = value
    if node.text.strip():
        raise InvalidValue("text must stand in the attribute value", where=where)
    last = -1
    for name, group in _grouped(node):
        member = order.get(name)
        if member is None:
            raise InvalidValue("this element is not defined here", where=f"{where}.{name}")
        if member.place <= last:
            raise InvalidValue("this element stands out of order", where=f"{where}.{name}")
        if len(group) > 1 and not member.many:
            raise InvalidValue("this element may stand once", where=f"{where}.{name}")
        last = member.place
        _put(made, name, member, group, f"{where}.{name}")
    return made


def _grouped(node: Element) -> Iterator[tuple[str, list[Element]]]:
    group: list[Element] = []
    for child in node.children:
        if group and child.name != group[0].name:
            yield group[0].name, group
            group = []
        group.append(child)
    if group:
        yield group[0].name, group


def _put(made: Json, name: str, member: Member, group: list[Element], where: str) -> None:
    if name == "div" or not member.primitive:
        values: list[Any] = [_inner(one, name, member, where) for one in group]
        made[name] = values if member.many else values[0]
        return
    read = [_read_primitive(one, member, where) for one in group]
    for key, listed in ((name, [value for value, _ in read]), (f"_{name}", [x for _, x in read])):
        if any(one is not None for one in listed):
            made[key] = listed if member.many else listed[0]


def _inner(node: Element, name: str, member: Member, where: str) -> Any:
    if name == "div":
        if node.namespace != _XHTML:
            raise InvalidValue("is not in the namespace of XHTML", where=where)
        return node.source
    if name in _RESOURCES and member.kind == "Resource":
        if len(node.children) != 1 or node.attributes:
            raise InvalidValue("must hold one resource", where=where)
        return _resource(node.children[0], where)
    return _object(node, member.kind, where)


def _read_primitive(node: Element, member: Member, where: str) -> tuple[Any, Json | None]:
    rest = {name: value for name, value in node.attributes.items() if name != "value"}
    beside = _object(Element(node.name, node.namespace, rest, node.children, node.text),
                     "Element", where)  # fmt: skip
    text = node.attributes.get("value")
    return (None if text is None else _value(text, member.kind, where)), beside or None


def _value(text: str, kind: str, where: str) -> Any:
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind in ("Integer", "UnsignedInt", "PositiveInt"):
            return int(text) if text.isascii() else int("")
        if kind == "Decimal":
            return _decimal(text)
    except (KeyError, ValueError, InvalidOperation) as error:
        raise InvalidValue("is not a value of its type", where=where) from error
    return text


def _decimal(text: str) -> int | Decimal:
    # As JSON: a number without point or exponent is an int.
    return int(text) if text.lstrip("-").isdecimal() and text.isascii() else Decimal(text)
