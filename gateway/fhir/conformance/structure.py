"""The structure of R4 resources: tables compiled from fhir.resources' class metadata.

Only classes that are met are imported and compiled, once; no model object is ever built. R4B
and R4 agree on every type listed here. Stricter than the library on purpose: no null, nothing
empty, no `fhir_comments`, required bindings, and the types a literal reference may point to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.fhir.conformance.bindings import BINDINGS
from gateway.fhir.conformance.invariants import INVARIANTS
from gateway.fhir.conformance.primitives import TESTS
from gateway.fhir.conformance.problem import Problem, Problems, under

TYPES = frozenset(
    {
        "AuditEvent",
        "Binary",
        "Bundle",
        "CapabilityStatement",
        "Device",
        "DiagnosticReport",
        "DocumentReference",
        "Observation",
        "OperationOutcome",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "ServiceRequest",
        "Specimen",
        "Task",
    }
)
"""The resource types that the gateway writes."""

Check = Callable[[Any], Problems]

_EMPTY = "must not be empty"


_REMEMBERED = 4096
_TEXT = TESTS["String"][1]


class Structure:
    """Compiled tables of every class met so far."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._codings: set[tuple[tuple[str, Any], ...]] = set()

    def resource(self, value: Any) -> Problems:
        """Check a whole resource; paths start below its type."""
        if not isinstance(value, dict):
            return [Problem("", "must be an object")]
        type_ = value.get("resourceType")
        if not isinstance(type_, str) or type_ not in TYPES:
            return [Problem(".resourceType", "not a resource type that this gateway checks")]
        check = self._checks.get(type_)
        if check is None:
            module = import_module(f"fhir.resources.R4B.{type_.lower()}")
            check = self.compiled(getattr(module, type_))
        return check(value)

    def compiled(self, model: type[BaseModel]) -> Check:
        """Return the check of one class, compiled when it is first met."""
        check = self._checks.get(model.__name__)
        if check is None:
            check = self._quicker(model.__name__, _Shape(self, model).check)
            self._checks[model.__name__] = check
        return check

    def _quicker(self, name: str, check: Check) -> Check:
        """Put a short way before the classes that most objects are of."""
        if name == "Coding":
            return _remembering(check, self._codings)
        if name == "CodeableConcept":
            return _of_one_coding(check, self._codings)
        return check


class _Element:
    """One element of a class: how one value of it is checked, and whether it is a list."""

    __slots__ = ("check", "choice", "many")

    def __init__(self, structure: Structure, shape: str, name: str, field: FieldInfo) -> None:
        facts = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        self.many, kind = unwrap(field)
        self.choice = str(facts.get("one_of_many") or "")
        self.check: Check = structure.resource
        if kind in TESTS:
            self.check = _primitive(kind, BINDINGS.get((shape, name)))
        elif kind.__name__ != "ResourceType":
            self._complex(structure, kind, facts.get("enum_reference_types"))

    def _complex(self, structure: Structure, kind: Any, targets: Any) -> None:
        pointing = isinstance(targets, list) and "Resource" not in targets

        def compile_first(value: Any) -> Problems:
            check = structure.compiled(kind.get_model_klass())
            self.check = _pointing(check, frozenset(targets)) if pointing else check
            return self.check(value)

        self.check = compile_first

    def problems(self, value: Any) -> Problems:
        """Check the values of a list."""
        if type(value) is not list or not value:
            return [Problem("", "must be a list that is not empty")]
        check = self.check
        found: list[Problem] = []
        for index, item in enumerate(value):
            problems = check(item)
            if problems:
                found += under(f"[{index}]", problems)
        return found or None


class _Shape:
    """What one class allows: its elements, what must be there, and its invariants."""

    def __init__(self, structure: Structure, model: type[BaseModel]) -> None:
        self.name = model.__name__
        self.elements: dict[str, _Element] = {}
        self.required: list[tuple[str, str]] = []
        self.choices: dict[str, list[str]] = {}
        self.invariants = INVARIANTS.get(self.name, ())
        for key, field in model.model_fields.items():
            name = field.alias or key
            if name != "fhir_comments":
                self._add(structure, name, field)

    def _add(self, structure: Structure, name: str, field: FieldInfo) -> None:
        facts = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        element = self.elements[name] = _Element(structure, self.name, name, field)
        if field.is_required() or facts.get("element_required"):
            self.required.append((name, f"_{name}"))
        if facts.get("one_of_many_required"):
            self.choices.setdefault(element.choice, []).append(name)

    def check(self, value: Any) -> Problems:  # noqa: C901, PLR0912 - hot: calls cost more
        """Check one object of this class."""
        if type(value) is not dict or not value:
            return [Problem("", "must be an object that is not empty")]
        found: list[Problem] = []
        chosen: set[str] | None = None
        for name, item in value.items():
            element = self.elements.get(name)
            if element is None:
                found += self._undefined(name, item)
                continue
            problems = element.problems(item) if element.many else element.check(item)
            if problems:
                found += _in_element(value, name, problems)
            if element.choice:
                if chosen is None:
                    chosen = {element.choice}
                elif element.choice in chosen:
                    where = f".{element.choice}[x]"
                    found.append(Problem(where, "only one of the choices may be sent"))
                else:
                    chosen.add(element.choice)
        for name, twin in self.required:
            if name not in value and twin not in value:
                found.append(Problem(f".{name}", "is required"))
        for choice, names in self.choices.items():
            if value.keys().isdisjoint(names):
                found.append(Problem(f".{choice}[x]", "is required"))
        if not found:
            # Invariants may rely on the structure.
            found = [problem for rule in self.invariants if (problem := rule(value))]
        return found or None

    def _undefined(self, name: str, item: Any) -> Iterator[Problem]:
        if not (name == "resourceType" and item == self.name):
            yield Problem(f".{name}", "this element is not defined here")


def _in_element(parent: dict[str, Any], name: str, problems: list[Problem]) -> Iterator[Problem]:
    # A null in a list of primitives stands where only the twin `_name` has something (json 2.6.2).
    values = parent[name]
    other = parent.get(name[1:] if name.startswith("_") else f"_{name}")
    for path, text in problems:
        if path.startswith("[") and isinstance(values, list) and isinstance(other, list):
            index = int(path[1 : path.index("]")])
            if values[index] is None and index < len(other) and other[index] is not None:
                continue
        yield Problem(f".{name}{path}", text)


def unwrap(field: FieldInfo) -> tuple[bool, Any]:
    """Return whether an element is a list, and the name of its primitive or its type."""
    annotation: Any = field.annotation
    many = False
    while True:
        parts = [part for part in get_args(annotation) if part is not type(None)]
        metadata = [*getattr(annotation, "__metadata__", ()), *field.metadata]
        named = [type(one).__name__ for one in metadata if type(one).__name__ in TESTS]
        if named:
            return many, named[0]
        if not parts:
            return many, "bool" if annotation is bool else annotation
        many = many or get_origin(annotation) is list
        annotation = parts[0]


def _primitive(kind: str, bound: frozenset[str] | None) -> Check:
    name, test = TESTS[kind]
    wrong = [Problem("", f"is not a valid {name}")]
    unbound = [Problem("", "is not a code of the required value set")]

    def check(value: Any) -> Problems:
        if not test(value):
            return wrong
        return unbound if bound is not None and value not in bound else None

    return check


def _remembering(check: Check, known: set[tuple[tuple[str, Any], ...]]) -> Check:
    """Check a Coding once: the same few hundred make up half of all objects."""

    def check_once(value: Any) -> Problems:
        try:
            key = tuple(value.items())
            if key in known:
                return None
        except (AttributeError, TypeError):
            return check(value)
        found = check(value)
        # Text alone: in Python 1 equals True, and a number would pass for a remembered boolean.
        if not found and len(known) < _REMEMBERED and all(type(part) is str for _, part in key):
            known.add(key)
        return found

    return check_once


def _of_one_coding(check: Check, known: set[tuple[tuple[str, Any], ...]]) -> Check:
    """Look up the one Coding that most concepts have; their text is never remembered."""

    def check_concept(value: Any) -> Problems:
        try:
            (coding,) = value["coding"]
            if tuple(coding.items()) in known and (
                len(value) == 1 or (len(value) == 2 and _TEXT(value["text"]))
            ):
                return None
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        return check(value)

    return check_concept


def _pointing(check: Check, targets: frozenset[str]) -> Check:
    def check_target(value: Any) -> Problems:
        bare = type(value) is dict and len(value) == 1 and _TEXT(value.get("reference"))
        found = None if bare else check(value)
        if found:
            return found
        type_, slash, _ = value.get("reference", "").partition("/")
        if slash and type_.isalpha() and type_ not in targets:
            return [Problem(".reference", "must not point to a resource of this type")]
        return None

    return check_target
