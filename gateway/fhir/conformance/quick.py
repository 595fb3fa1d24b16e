"""Quick ways to find that a value is sound, without saying what is wrong with others.

A `Sound` says yes only where the full check finds nothing. Its no means nothing: then the full
check says what is wrong, or that nothing is. What is remembered here are codes and the names of
elements, in bounded tables: never the values of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from decimal import Decimal
from typing import Any

from gateway.fhir.conformance.primitives import TESTS

Sound = Callable[[Any], object]
"""Its answer counts as a bool."""
Known = set[tuple[tuple[str, Any], ...]]
"""The items of Codings that were found sound."""
Units = set[tuple[str, str, str]]
"""The units that were found sound: what is shown, system and code."""
Same = dict[str, dict[str, Any]]
"""By type and element, the last value that was found sound: for one pass over one report."""

_REMEMBERED = 4096
_LONGEST = 250
_MEASURED = 4  # value, unit, system and code
_TEXT = TESTS["String"][1]


def _memorable(known: Sized, parts: Iterable[Any]) -> bool:
    # Text alone: in Python 1 equals True, and a number would pass for a remembered boolean.
    return len(known) < _REMEMBERED and all(
        type(part) is str and len(part) < _LONGEST for part in parts
    )


def each(sound: Sound) -> Sound:
    """Of a list: it is not empty, and each of its items is sound."""

    def all_sound(values: Any) -> bool:
        if type(values) is not list or not values:
            return False
        for value in values:  # noqa: SIM110 - `all` over a generator is slower, and this is hot
            if not sound(value):
                return False
        return True

    return all_sound


def exactly(text: str) -> Sound:
    """Of one constant text."""
    return lambda value: value == text


def one_of(bound: frozenset[str]) -> Sound:
    """Of a required binding: every code in it is well formed."""
    return lambda value: type(value) is str and value in bound


def remembering(sound: Sound, known: Known) -> Sound:
    """Of a Coding, once: the same few hundred make up half of all objects."""

    def once(value: Any) -> object:
        if type(value) is not dict:
            return False
        key = tuple(value.items())
        try:
            if key in known:
                return True
        except TypeError:
            return False
        found = sound(value)
        if found and _memorable(known, [part for _, part in key]):
            known.add(key)
        return found

    return once


def of_one_coding(sound: Sound, known: Known) -> Sound:
    """Of a concept, by the one Coding that most have; their text is never remembered."""

    def concept(value: Any) -> object:
        try:
            (coding,) = value["coding"]
            if tuple(coding.items()) in known and (
                len(value) == 1 or (len(value) == 2 and _TEXT(value["text"]))
            ):
                return True
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # it is of another shape
        return sound(value)

    return concept


def of_known_unit(sound: Sound, known: Units) -> Sound:
    """Of a Quantity that is a number and a unit, which is remembered: a report has few."""

    def quantity(value: Any) -> object:
        if type(value) is not dict or len(value) != _MEASURED:
            return sound(value)
        number = value.get("value")
        if type(number) is not Decimal or not number.is_finite():
            return sound(value)
        unit: tuple[Any, Any, Any] = value.get("unit"), value.get("system"), value.get("code")
        try:
            if unit in known:
                return True
        except TypeError:
            return False
        found = sound(value)
        if found and _memorable(known, unit):
            known.add(unit)
        return found

    return quantity


def pointing(sound: Sound, targets: frozenset[str]) -> Sound:
    """Of a Reference whose literal names no type or one of `targets`."""

    def reference(value: Any) -> bool:
        bare = type(value) is dict and len(value) == 1 and _TEXT(value.get("reference"))
        if not bare and not sound(value):
            return False
        literal = value.get("reference", "")
        if "/" not in literal:
            return True
        type_ = literal.partition("/")[0]
        return type_ in targets or not type_.isalpha()

    return reference
