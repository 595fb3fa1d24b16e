"""Which slice is an item of? Yes, no, or None where that cannot be told offline (R4 profiling).

A discriminator's path is the closed list of steps that R4 allows: element names, `$this`,
`resolve()`, `ofType(X)` and `extension(url)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from gateway.fhir.conformance.definitions import base_type
from gateway.fhir.conformance.items import Item, contains, fits, items
from gateway.fhir.conformance.tree import Node

Json = dict[str, Any]
Answer = bool | None

_STEP = re.compile(r"\$this|[A-Za-z]\w*(?:\[x\])?(?:\([^()]*\))?")
_THIS = "$this"
_RESOLVE = "resolve()"


class Host(Protocol):
    """What slicing needs to know about everything else."""

    def resolved(self, reference: Any) -> Item | None:
        """Return the target of a Reference, if it is here."""

    def keeps(self, target: Item, canonical: str) -> Answer:
        """Say whether an object keeps a profile."""

    def type_of(self, canonical: str) -> str:
        """Return the type that a profile constrains, or nothing."""

    def tree(self, canonical: str) -> Node | None:
        """Return the rules of a profile."""

    def bound(self, canonical: str, value: Any) -> Answer:
        """Say whether a value is of a value set."""


def discriminators(node: Node) -> list[Json]:
    """Return how the slices of an element are told apart; R4 presets two of them."""
    given: list[Json] = node.rule.get("slicing", {}).get("discriminator", [])
    if given:
        return given
    if node.choice:
        return [{"type": "type", "path": _THIS}]
    extension = node.name in ("extension", "modifierExtension")
    return [{"type": "value", "path": "url"}] if extension else []


def of_slice(host: Host, node: Node, slice_: Node, item: Item) -> Answer:
    """Say whether an item of `node` is of one of its slices."""
    answers = [_by(host, one, slice_, item) for one in discriminators(node)]
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _by(host: Host, given: Json, slice_: Node, item: Item) -> Answer:
    steps = _STEP.findall(given["path"])
    if given["path"] == "url" and (urls := _profiles(slice_, "profile")):
        return item.content.get("url") in {one.partition("|")[0] for one in urls}
    node, expected = _follow(host, slice_, steps)
    values = _reach(host, [item], steps)
    if given["type"] == "exists":
        return _exists(node, values)
    if given["type"] == "type":
        return _of_type(host, node, steps, values, item)
    if given["type"] == "profile":
        return _of_profile(host, node, steps, values, item)
    return None if values is None else _valued(host, node, expected, values)


def _exists(node: Node | None, values: list[Item] | None) -> Answer:
    if node is None or values is None:
        return None
    if node.most == 0:
        return not values
    return bool(values) if node.least else None


def _of_type(
    host: Host, node: Node | None, steps: list[str], values: list[Item] | None, item: Item
) -> Answer:
    if node is None:
        return None
    if _RESOLVE in steps:
        wanted = {host.type_of(one) or base_type(one) for one in _profiles(node, "targetProfile")}
        known = {_type(one) for one in values or ()} or {pointed_type(item.value)}
        return None if "" in wanted | known or not wanted else not known.isdisjoint(wanted)
    codes = {str(one["code"]).rpartition("/")[2] for one in node.types}
    kinds = {(one.kind or _type(one)).lower() for one in values or ()}
    return None if not kinds - {""} else not kinds.isdisjoint(code.lower() for code in codes)


def _of_profile(
    host: Host, node: Node | None, steps: list[str], values: list[Item] | None, item: Item
) -> Answer:
    if node is None:
        return None
    resolving = _RESOLVE in steps
    wanted = _profiles(node, "targetProfile" if resolving else "profile")
    if values is None:
        type_ = pointed_type(item.value)
        types = {host.type_of(one) for one in wanted}
        return False if type_ and "" not in types and type_ not in types else None
    return any_of(is_profile(host, one, canonical) for one in values for canonical in wanted)


def is_profile(host: Host, target: Item, canonical: str) -> Answer:
    """Say whether a resource is of a base type or keeps a profile."""
    if base := base_type(canonical):
        return base in ("Resource", _type(target))
    type_ = host.type_of(canonical)
    return False if type_ and type_ != _type(target) else host.keeps(target, canonical)


def any_of(answers: Iterable[Answer]) -> Answer:
    """Join answers of which one is enough."""
    given = set(answers)
    return True if True in given else None if None in given else False


def pointed_type(reference: Any) -> str:
    """Return the type of a Reference's target, as far as the Reference says it."""
    if not isinstance(reference, dict):
        return ""
    literal = re.search(
        r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}", reference.get("reference") or ""
    )
    return literal[1] if literal else str(reference.get("type") or "")


def _type(item: Item) -> str:
    return str(item.content.get("resourceType") or "")


def _profiles(node: Node, name: str) -> list[str]:
    return [one for type_ in node.types for one in type_.get(name, ())]


def _follow(host: Host, node: Node, steps: list[str]) -> tuple[Node | None, tuple[str, Any] | None]:
    """Go down the rules; a pattern on the way says what is expected further down."""
    at: Node | None = node
    expected = node.expected
    for step in steps:
        if at is None or step == _THIS or step.startswith("ofType("):
            continue
        if step == _RESOLVE:
            at, expected = _target_rules(host, at, last=step == steps[-1]), None
            continue
        if step.startswith("extension("):
            at, expected = _extension_rules(at, step), None
            continue
        inner = expected[1].get(step) if expected and isinstance(expected[1], dict) else None
        at = at.children.get(step.removesuffix("[x]"))
        expected = ("pattern", inner) if inner is not None else at.expected if at else None
    return at, expected


def _target_rules(host: Host, node: Node, *, last: bool) -> Node | None:
    if last:
        return node
    wanted = _profiles(node, "targetProfile")
    return host.tree(wanted[0]) if len(wanted) == 1 else None


def _extension_rules(node: Node, step: str) -> Node | None:
    url = step[len("extension(") : -1].strip("'\"")
    extension = node.children.get("extension")
    for slice_ in extension.slices.values() if extension else ():
        named = slice_.children.get("url")
        if url in _profiles(slice_, "profile") or (
            named and (named.expected or ("", ""))[1] == url
        ):
            return slice_
    return None


def _reach(host: Host, found: list[Item], steps: list[str]) -> list[Item] | None:
    for step in steps:
        if step == _RESOLVE:
            targets = [host.resolved(one.value) for one in found]
            if None in targets:
                return None
            found = [one for one in targets if one is not None]
        elif step.startswith("ofType("):
            kind = step[len("ofType(") : -1].lower()
            found = [one for one in found if one.kind.lower() == kind]
        elif step.startswith("extension("):
            url = step[len("extension(") : -1].strip("'\"")
            every = [one for item in found for one in items(item, "extension")]
            found = [one for one in every if one.content.get("url") == url]
        elif step != _THIS:
            found = [one for item in found for one in _named(item, step.removesuffix("[x]"))]
    return found


def _named(item: Item, name: str) -> list[Item]:
    return items(item, name) or items(item, name, choice=True)


def _valued(
    host: Host, node: Node | None, expected: tuple[str, Any] | None, values: list[Item]
) -> Answer:
    if expected is not None:
        if isinstance(expected[1], list):
            return contains([one.value for one in values], expected[1])
        return any(fits(one.value, expected) for one in values)
    if node is None:
        return None
    if not values:
        return False
    return any_of(_told(host, node, one) for one in values)


def _told(host: Host, node: Node, item: Item) -> Answer:
    """Hold an item against all that the rules below a discriminator's path fix."""
    if node.expected is not None:
        return fits(item.value, node.expected)
    binding = node.rule.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        return host.bound(binding["valueSet"], item.value)
    answers = [_below(host, child, item) for child in node.children.values()]
    told = [one for one in answers if one is not None]
    return all(told) if told else None


def _below(host: Host, child: Node, item: Item) -> Answer:
    values = items(item, child.name, choice=child.choice)
    rules = [child, *(one for one in child.slices.values() if one.least)]
    if not any(_fixes(one) for one in rules):
        return None
    if not values:
        return False if child.least else None
    answers = [any_of(_told(host, one, value) for value in values) for one in rules if _fixes(one)]
    return False if False in answers else None if None in answers else True


def _fixes(node: Node) -> bool:
    if node.expected is not None:
        return True
    required = node.rule.get("binding", {}).get("strength") == "required"
    below = (*node.children.values(), *(one for one in node.slices.values() if one.least))
    return (required and not node.children) or any(_fixes(one) for one in below if one is not node)
