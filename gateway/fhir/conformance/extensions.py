"""Every extension of a resource against the definition of its URL (R4 extensibility)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.fhir.conformance.finding import Finding, error, unchecked
from gateway.fhir.conformance.items import Item
from gateway.fhir.conformance.walker import Walker

Json = dict[str, Any]

_INDEX = re.compile(r"\[\d+\]")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:[^\s]+").fullmatch
_MODIFIER = "modifierExtension"


def extension_findings(walker: Walker, resource: Item) -> Iterator[Finding]:
    """Yield what is wrong with the extensions of one resource, contained ones left out."""
    for item in _extensions(resource.value, resource.path):
        url = item.value.get("url")
        if isinstance(url, str) and _ABSOLUTE(url):  # others are named by the extension around
            yield from _extension(walker, resource, item, url)


def _extension(walker: Walker, resource: Item, item: Item, url: str) -> Iterator[Finding]:
    modifier = f".{_MODIFIER}[" in item.path[item.path.rindex(".") :]
    tree, structure = walker.definitions.tree(url), walker.definitions.structure(url)
    if tree is None or structure is None:
        if modifier:
            yield error(item.path, "a modifier extension that is not known must not be processed")
        else:
            yield unchecked(item.path, f"the extension {url} is not installed")
        return
    if structure["type"] != "Extension":
        yield error(item.path, "is not the URL of an extension")
        return
    if modifier != bool(tree.rule.get("isModifier")):
        yield error(item.path, "a modifier extension stands under modifierExtension, no other does")
    if not _allowed(structure.get("context", []), item, resource):
        yield error(item.path, "this extension may not be used here")
    yield from walker.part(resource.value, item, url)


def _allowed(contexts: list[Json], item: Item, resource: Item) -> bool:
    """Say whether an extension stands where it may; where that cannot be told, it may."""
    type_ = str(resource.value.get("resourceType"))
    place = _INDEX.sub("", type_ + item.path[len(resource.path) :]).rpartition(".")[0]
    wanted = {str(one.get("expression")) for one in contexts}
    if not contexts or any(one.get("type") != "element" for one in contexts):
        return True
    anywhere = {"Element", place, *(("Resource", "DomainResource") if place == type_ else ())}
    if not wanted.isdisjoint(anywhere):
        return True
    # Below the root the type of an element is not known here, and a context may name a type.
    return place != type_ and any("." not in one for one in wanted)


def _extensions(content: Any, path: str) -> Iterator[Item]:
    if isinstance(content, list):
        for at, one in enumerate(content):
            yield from _extensions(one, f"{path}[{at}]")
    elif isinstance(content, dict):
        for name, value in content.items():
            if name in ("extension", _MODIFIER) and isinstance(value, list):
                yield from (
                    Item(one, {}, f"{path}.{name}[{at}]")
                    for at, one in enumerate(value)
                    if isinstance(one, dict)
                )
            if name not in ("contained", "resource"):
                yield from _extensions(value, f"{path}.{name.removeprefix('_')}")
