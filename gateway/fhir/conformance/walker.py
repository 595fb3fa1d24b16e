"""Hold resources against the snapshot of any profile (R4 profiling, ElementDefinition).

Cardinality, types, fixed values and patterns, slices, required bindings, reference targets and
invariants. The base structure must be sound (`structure`). Where a rule cannot be checked with
what is installed, that is said and is no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from gateway.fhir.conformance.bindings import BINDINGS
from gateway.fhir.conformance.definitions import Definitions, base_type
from gateway.fhir.conformance.document import Document
from gateway.fhir.conformance.finding import Finding, Severity, error, unchecked
from gateway.fhir.conformance.items import Item, fits, items
from gateway.fhir.conformance.slicing import any_of, is_profile, of_slice, pointed_type
from gateway.fhir.conformance.terminology import Terminology
from gateway.fhir.conformance.tree import Node

Json = dict[str, Any]

NATIVE = frozenset(
    {
        *("ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"),
        *("obs-6", "obs-7", "qty-3", "att-1", "org-1", "rng-2", "ref-1"),
    }
)
"""Invariants that `structure` and `validator` keep by themselves (dom-6 is advice only)."""

_BASE_SETS = "http://hl7.org/fhir/ValueSet/"
_OF_DATA_TYPES = frozenset({"use", "comparator", "system", "status"})
"""Elements of data types with a required binding, all of them in BINDINGS."""


class Invariants(Protocol):
    """Evaluates FHIRPath."""

    def holds(self, expression: str, item: Item, resource: Json) -> bool | None:
        """Say whether a rule holds, or None where it cannot be evaluated."""


class Walker:
    """Checks the resources of one document; it remembers which profile each one keeps."""

    def __init__(self, definitions: Definitions, document: Document, rules: Invariants) -> None:
        self.definitions = definitions
        self.terminology = Terminology(definitions)
        self.document = document
        self.rules = rules
        self._known: dict[tuple[int, str], list[Finding]] = {}

    def profile(self, resource: Item, canonical: str) -> list[Finding]:
        """Return what a resource breaks of one profile."""
        key = (id(resource.value), canonical)
        if key not in self._known:
            # While it is being checked it is taken to keep it: references may go in a circle.
            self._known[key] = []
            self._known[key] = self._profile(resource, canonical)
        return self._known[key]

    def _profile(self, resource: Item, canonical: str) -> list[Finding]:
        structure, tree = self.definitions.structure(canonical), self.definitions.tree(canonical)
        if structure is None or tree is None:
            why = "is not installed" if structure is None else "has no snapshot"
            return [unchecked(resource.path, f"the profile {canonical} {why}")]
        if structure["type"] != resource.content.get("resourceType"):
            return [error(resource.path, f"{canonical} is a profile of another type")]
        walk = _Walk(self, resource.value, structure["type"])
        walk.object(tree, resource)
        return walk.found

    def part(self, resource: Json, item: Item, canonical: str) -> list[Finding]:
        """Return what a part of a resource breaks of the profile of its data type."""
        structure, tree = self.definitions.structure(canonical), self.definitions.tree(canonical)
        if structure is None or tree is None:
            return [unchecked(item.path, f"{canonical} is not installed")]
        walk = _Walk(self, resource, structure["type"])
        walk.object(tree, item)
        return walk.found


class _Walk:
    """One resource, one profile; also what slicing asks (`slicing.Host`)."""

    def __init__(self, walker: Walker, resource: Json, type_: str) -> None:
        self.walker = walker
        self.resource = resource
        self.type = type_
        self.found: list[Finding] = []

    def resolved(self, reference: Any) -> Item | None:
        return self.walker.document.target(reference, self.resource)

    def keeps(self, target: Item, canonical: str) -> bool | None:
        if self.walker.definitions.tree(canonical) is None:
            return None
        found = self.walker.profile(target, canonical)
        return not any(one.severity is Severity.ERROR for one in found)

    def type_of(self, canonical: str) -> str:
        return str((self.walker.definitions.structure(canonical) or {}).get("type", ""))

    def tree(self, canonical: str) -> Node | None:
        return self.walker.definitions.tree(canonical)

    def bound(self, canonical: str, value: Any) -> bool | None:
        return self.walker.terminology.concept(canonical, value)

    def object(self, node: Node, item: Item) -> None:
        """Check one value, and all below it."""
        self._invariants(node, item)
        for child in node.children.values():
            self._element(child, item)

    def _element(self, node: Node, parent: Item) -> None:
        path = f"{parent.path}.{node.name}{'[x]' if node.choice else ''}"
        values = items(parent, node.name, choice=node.choice)
        if node.choice:
            values = [one for one in values if self._of_type(node, one)]
        self._count(node, values, path)
        for item in values:
            self._value(node, item)
        if node.slices:
            self._slices(node, values, path)

    def _count(self, node: Node, values: Sequence[Item], path: str, slice_: str = "") -> None:
        named = f" {slice_}" if slice_ else ""
        if len(values) < node.least:
            text = f"needs{named} at least {node.least} times" if node.least > 1 else "is required"
            self.found.append(
                error(path, f"{slice_} {text}" if slice_ and node.least == 1 else text)
            )
        elif len(values) > node.most:
            text = "is prohibited" if node.most == 0 else f"may be sent {node.most} times only"
            self.found.append(error(values[node.most].path, f"{slice_} {text}".lstrip()))

    def _of_type(self, node: Node, item: Item) -> bool:
        if not node.types or item.kind.lower() in {str(one["code"]).lower() for one in node.types}:
            return True
        self.found.append(error(item.path, "this type is prohibited by the profile"))
        return False

    def _value(self, node: Node, item: Item) -> None:
        self._expected(node, item)
        self._bound(node, item)
        self._resource_type(node, item)
        self._typed(node, item)
        self._target(node, item)
        self.object(node, item)

    def _expected(self, node: Node, item: Item) -> None:
        expected = node.expected
        if expected is None or item.value is None or fits(item.value, expected):
            return
        wanted = expected[1]
        said = f" {wanted}" if isinstance(wanted, str | int | bool) else ""
        word = "must be" if expected[0] == "fixed" or said else "must contain"
        self.found.append(error(item.path, f"{word}{said or _shown(wanted)}"))

    def _bound(self, node: Node, item: Item) -> None:
        binding = node.rule.get("binding", {})
        value_set = str(binding.get("valueSet", ""))
        if binding.get("strength") != "required" or not value_set or item.value is None:
            return
        if value_set.startswith(_BASE_SETS) and _checked_by_structure(node.rule["path"]):
            return
        answer = self.bound(value_set, item.value)
        if answer is False:
            self.found.append(error(item.path, f"is not of the required value set {value_set}"))
        elif answer is None:
            self.found.append(unchecked(item.path, f"codes of the value set {value_set}"))

    def _resource_type(self, node: Node, item: Item) -> None:
        codes = {str(one["code"]) for one in node.types}
        type_ = item.content.get("resourceType")
        if type_ and codes.isdisjoint({type_, "Resource", "DomainResource"}) and codes:
            self.found.append(error(item.path, "this type is prohibited by the profile"))

    def _typed(self, node: Node, item: Item) -> None:
        # Extensions are checked wherever they stand, whether or not a profile names them.
        wanted = [
            canonical
            for one in node.types
            if one["code"] != "Extension" and item.kind.lower() in ("", str(one["code"]).lower())
            for canonical in one.get("profile", ())
            if not base_type(canonical)
        ]
        if not wanted or not isinstance(item.value, dict):
            return
        check = self._resource if "resourceType" in item.value else self._part
        answers = [check(item, canonical) for canonical in wanted]
        best = min(answers, key=lambda found: sum(one.severity is Severity.ERROR for one in found))
        self.found += best

    def _resource(self, item: Item, canonical: str) -> list[Finding]:
        return self.walker.profile(item, canonical)

    def _part(self, item: Item, canonical: str) -> list[Finding]:
        return self.walker.part(self.resource, item, canonical)

    def _target(self, node: Node, item: Item) -> None:
        wanted = [
            canonical
            for one in node.types
            if one["code"] == "Reference"
            for canonical in one.get("targetProfile", ())
        ]
        if not wanted or not isinstance(item.value, dict):
            return
        target = self.resolved(item.value)
        if target is None:
            self._absent(wanted, item)
        elif any_of(is_profile(self, target, one) for one in wanted) is False:
            self.found.append(error(item.path, self._broken(target, wanted)))

    def _absent(self, wanted: Sequence[str], item: Item) -> None:
        type_ = pointed_type(item.value)
        types = {base_type(one) or self.type_of(one) for one in wanted}
        if type_ and types.isdisjoint({type_, "Resource", ""}):
            self.found.append(error(item.path, "must not point to a resource of this type"))
        elif not any(base_type(one) in ("Resource", type_) for one in wanted) and type_:
            self.found.append(unchecked(item.path, "the profile of a target that is not here"))

    def _broken(self, target: Item, wanted: Sequence[str]) -> str:
        for canonical in wanted:
            if self.type_of(canonical) == target.content.get("resourceType"):
                first = next(_errors(self.walker.profile(target, canonical)), None)
                if first is not None:
                    return f"the target breaks {canonical}: {first.path}: {first.text}"
        return "must not point to a resource of this type"

    def _invariants(self, node: Node, item: Item) -> None:
        for one in node.rule.get("constraint", ()):
            if one["key"] in NATIVE or "expression" not in one:
                continue
            answer = self.walker.rules.holds(one["expression"], item, self.resource)
            if answer is None:
                self.found.append(unchecked(item.path, f"the invariant {one['key']}"))
            elif not answer:
                severity = Severity.ERROR if one["severity"] == "error" else Severity.WARNING
                text = f"{one.get('human', 'an invariant does not hold')} ({one['key']})"
                self.found.append(Finding(severity, item.path, text))

    def _slices(self, node: Node, values: Sequence[Item], path: str) -> None:
        sure: dict[str, list[Item]] = {name: [] for name in node.slices}
        unsure: set[str] = set()
        for item in values:
            answers = self._answers(node, item)
            unsure |= {name for name, answer in answers.items() if answer is None}
            for name in (name for name, answer in answers.items() if answer):
                sure[name].append(item)
            if not any(answers.values()):
                self._unsliced(node, item, told=None not in answers.values())
        for name, slice_ in node.slices.items():
            # What cannot be told may be what is missing, but never what is too much.
            if name not in unsure or len(sure[name]) > slice_.most:
                self._count(slice_, sure[name], path, name)
            for item in sure[name]:
                self._value(slice_, item)

    def _answers(self, node: Node, item: Item) -> dict[str, bool | None]:
        answers = {
            name: of_slice(self, node, slice_, item)
            for name, slice_ in node.slices.items()
            if name != "@default"
        }
        if "@default" in node.slices:
            answers["@default"] = not any(answers.values())
        return answers

    def _unsliced(self, node: Node, item: Item, *, told: bool) -> None:
        closed = node.rule.get("slicing", {}).get("rules") == "closed"
        if not told:
            self.found.append(unchecked(item.path, "which slice this is"))
        elif closed:
            self.found.append(error(item.path, "is none of the slices that the profile allows"))


def _checked_by_structure(path: str) -> bool:
    *owners, name = path.split(".")
    owner = "".join(one[:1].upper() + one[1:] for one in owners)
    return (owner, name) in BINDINGS or (len(owners) > 1 and name in _OF_DATA_TYPES)


def _errors(found: Sequence[Finding]) -> Iterator[Finding]:
    return (one for one in found if one.severity is Severity.ERROR)


def _shown(wanted: Any) -> str:
    """Name the codes of a pattern; they are the profile's, not the resource's."""
    codings = wanted.get("coding", [wanted]) if isinstance(wanted, dict) else []
    codes = [f"{one.get('system', '')}#{one['code']}" for one in codings if "code" in one]
    return " " + ", ".join(codes) if codes else " what the profile fixes"
