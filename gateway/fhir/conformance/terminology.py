"""Is a code of a value set? Yes, no, or None where what is installed cannot tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.fhir import terms
from gateway.fhir.conformance.definitions import Definitions

Json = dict[str, Any]

_LOINC_LISTS = {
    "http://loinc.org/vs/LL1971-2": frozenset(terms.PRESENCE),
    "http://loinc.org/vs/LL2938-0": frozenset(terms.CHROMOSOMES.values()),
}
"""Answer lists that no package holds and that the gateway itself writes."""


class Terminology:
    """Answers from the ValueSets and CodeSystems that are known."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._codes: dict[str, frozenset[str]] = {}

    def concept(self, canonical: str, value: Any) -> bool | None:
        """Say whether a code, Coding, CodeableConcept or Quantity is of a value set."""
        codings = list(_codings(value))
        return _any(self.holds(canonical, system, code) for system, code in codings)

    def holds(self, canonical: str, system: str | None, code: str) -> bool | None:
        """Say whether one code is; `system` is None for a bare code."""
        if (listed := _LOINC_LISTS.get(canonical)) is not None:
            return system == terms.LOINC and code in listed
        found = self._definitions.value_set(canonical)
        if found is None:
            return None
        if "compose" not in found:
            return _expanded(found, system, code)
        compose = found["compose"]
        inside = _any(self._included(one, system, code) for one in compose.get("include", ()))
        outside = _any(self._included(one, system, code) for one in compose.get("exclude", ()))
        if inside is False or outside is True:
            return False
        return None if outside is None else inside

    def _included(self, part: Json, system: str | None, code: str) -> bool | None:
        answers = [self.holds(one, system, code) for one in part.get("valueSet", ())]
        if "system" in part:
            answers.append(self._of_system(part, system, code))
        return _all(answers)

    def _of_system(self, part: Json, system: str | None, code: str) -> bool | None:
        if system is not None and system != part["system"]:
            return False
        if "concept" in part:
            return any(one["code"] == code for one in part["concept"])
        codes = self._system(part["system"])
        if codes and code not in codes:
            return False
        return True if codes and "filter" not in part else None

    def _system(self, url: str) -> frozenset[str]:
        if url not in self._codes:
            found = self._definitions.code_system(url) or {}
            complete = found.get("content") == "complete"
            self._codes[url] = frozenset(_concepts(found.get("concept", ()) if complete else ()))
        return self._codes[url]


def _concepts(given: Iterable[Json]) -> Iterator[str]:
    for one in given:
        yield one["code"]
        yield from _concepts(one.get("concept", ()))


def _codings(value: Any) -> Iterator[tuple[str | None, str]]:
    if isinstance(value, str):
        yield None, value
    elif isinstance(value, dict):
        for one in value.get("coding", (value,)):
            if isinstance(one.get("code"), str):
                yield one.get("system", ""), one["code"]


def _expanded(found: Json, system: str | None, code: str) -> bool | None:
    listed = found.get("expansion", {}).get("contains")
    if listed is None:
        return None
    return any(
        one.get("code") == code and system in (None, one.get("system")) for one in _flat(listed)
    )


def _flat(listed: Iterable[Json]) -> Iterator[Json]:
    for one in listed:
        yield one
        yield from _flat(one.get("contains", ()))


def _any(answers: Iterable[bool | None]) -> bool | None:
    given = set(answers)
    return True if True in given else None if None in given else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    given = set(answers)
    return False if False in given or not given else None if None in given else True
