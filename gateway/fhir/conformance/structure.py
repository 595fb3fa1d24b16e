"""The structure of R4 resources: tables compiled from fhir.resources' class metadata.

Only classes that are met are imported and compiled, once; no model object is ever built. R4B
and R4 agree on every type listed here. Stricter than the library on purpose: no null, nothing
empty, no `fhir_comments`, required bindings, and the types a literal reference may point to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.fhir.conformance import quick
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
_SHAPES = 256


class Checks(NamedTuple):
    """How one class is checked: `problems` says all that is wrong, `sound` a quick yes."""

    problems: Check
    sound: quick.Sound
    among: Callable[[dict[str, Any], dict[str, Any]], bool]


class Structure:
    """Compiled tables of every class met so far."""

    def __init__(self) -> None:
        self._checks: dict[str, Checks] = {}
        self._codings: quick.Known = set()
        self._units: quick.Units = set()

    def resource(self, value: Any, same: quick.Same | None = None) -> Problems:
        """Check a whole resource; paths start below its type.

        What is in `same` was found sound as that element of that type, and has not changed since.
        """
        if not isinstance(value, dict):
            return [Problem("", "must be an object")]
        type_ = value.get("resourceType")
        if not isinstance(type_, str) or type_ not in TYPES:
            return [Problem(".resourceType", "not a resource type that this gateway checks")]
        checks = self._checks.get(type_)
        if checks is None:
            module = import_module(f"fhir.resources.R4B.{type_.lower()}")
            checks = self.compiled(getattr(module, type_))
        if same is not None and checks.among(value, same.setdefault(type_, {})):
            return None
        return None if checks.sound(value) else checks.problems(value)

    def compiled(self, model: type[BaseModel]) -> Checks:
        """Return the checks of one class, compiled when it is first met."""
        checks = self._checks.get(model.__name__)
        if checks is None:
            shape = _Shape(self, model)
            checks = Checks(
                shape.check, self._quicker(model.__name__, shape.sound), shape.sound_among
            )
            self._checks[model.__name__] = checks
        return checks

    def _quicker(self, name: str, sound: quick.Sound) -> quick.Sound:
        """Put a short way before the classes that most objects are of."""
        if name == "Coding":
            return quick.remembering(sound, self._codings)
        if name == "CodeableConcept":
            return quick.of_one_coding(sound, self._codings)
        if name == "Quantity":
            return quick.of_known_unit(sound, self._units)
        return sound


class _Element:
    """One element of a class: how one value of it is checked, and whether it is a list."""

    __slots__ = ("_one", "check", "choice", "many")

    def __init__(self, structure: Structure, shape: str, name: str, field: FieldInfo) -> None:
        facts = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        self.many, kind = unwrap(field)
        self.choice = str(facts.get("one_of_many") or "")
        self.check: Check = structure.resource
        self._one: quick.Sound = lambda value: not self.check(value)
        if kind in TESTS:
            bound = BINDINGS.get((shape, name))
            self.check = _primitive(kind, bound)
            self._one = quick.one_of(bound) if bound else TESTS[kind][1]
        elif kind.__name__ != "ResourceType":
            self._complex(structure, kind, facts.get("enum_reference_types"))

    def _complex(self, structure: Structure, kind: Any, targets: Any) -> None:
        pointing = isinstance(targets, list) and "Resource" not in targets

        def compile_first(value: Any) -> Problems:
            self.check, self._one, _ = structure.compiled(kind.get_model_klass())
            if pointing:
                allowed = frozenset(targets)
                self.check = _pointing(self.check, allowed)
                self._one = quick.pointing(self._one, allowed)
            return self.check(value)

        self.check = compile_first

    @property
    def sound(self) -> quick.Sound:
        """The quick way to check the element, with all of its values; ask after `check`."""
        return quick.each(self._one) if self.many else self._one

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
        self._plans: dict[tuple[str, ...], tuple[tuple[str, quick.Sound], ...]] = {}
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

    def sound(self, value: Any) -> bool:
        """Check an object by the plan of its shape: the names of its elements, in their order."""
        if type(value) is not dict:
            return False
        plan = self._plans.get(tuple(value))
        if plan is None:
            return self._learnt(value)
        for name, sound in plan:
            if not sound(value[name]):
                return False
        for rule in self.invariants:  # noqa: SIM110 - hot
            if rule(value):
                return False
        return True

    def sound_among(self, value: dict[str, Any], same: dict[str, Any]) -> bool:
        """Check an object as `sound` does, and no part twice that it shares with another."""
        plan = self._plans.get(tuple(value))
        if plan is None:
            return False
        for name, sound in plan:
            item = value[name]
            if same.get(name) is not item:
                if not sound(item):
                    return False
                same[name] = item
        for rule in self.invariants:  # noqa: SIM110 - hot
            if rule(value):
                return False
        return True

    def _learnt(self, value: dict[str, Any]) -> bool:
        """Check an object in full; a sound one shows that its shape is as it must be."""
        if self.check(value):
            return False
        if len(self._plans) < _SHAPES:
            typed = quick.exactly(self.name)
            self._plans[tuple(value)] = tuple(
                (name, self.elements[name].sound if name in self.elements else typed)
                for name in value
            )
        return True

    def check(self, value: Any) -> Problems:  # noqa: C901, PLR0912 - one pass over an object
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


def _pointing(check: Check, targets: frozenset[str]) -> Check:
    def check_target(value: Any) -> Problems:
        found = check(value)
        if found:
            return found
        type_, slash, _ = value.get("reference", "").partition("/")
        if slash and type_.isalpha() and type_ not in targets:
            return [Problem(".reference", "must not point to a resource of this type")]
        return None

    return check_target
