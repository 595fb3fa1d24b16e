"""Conformance definitions by canonical URL: StructureDefinitions, ValueSets and CodeSystems.

What comes later wins where two have one URL and a canonical names no version: what was installed
stands before what came with the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.fhir.conformance.tree import Node, tree

Json = dict[str, Any]

KINDS = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
BASE = "http://hl7.org/fhir/StructureDefinition/"


class Definitions:
    """All that is known; trees are made when a profile is first used."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self._all: dict[tuple[str, str], Json] = {}
        self._trees: dict[int, Node | None] = {}
        for one in resources:
            kind, url = one.get("resourceType"), one.get("url")
            if kind in KINDS and isinstance(url, str):
                self._all[str(kind), url] = one
                if version := one.get("version"):
                    self._all[str(kind), f"{url}|{version}"] = one

    def structure(self, canonical: str) -> Json | None:
        """Return a StructureDefinition; a canonical with a version finds that version only."""
        return self._all.get(("StructureDefinition", canonical))

    def tree(self, canonical: str) -> Node | None:
        """Return the rules of a profile, or None where it is unknown or has no snapshot."""
        found = self.structure(canonical)
        if found is None:
            return None
        if id(found) not in self._trees:
            elements = found.get("snapshot", {}).get("element")
            self._trees[id(found)] = tree(elements) if elements else None
        return self._trees[id(found)]

    def value_set(self, canonical: str) -> Json | None:
        """Return a ValueSet."""
        return self._all.get(("ValueSet", canonical))

    def code_system(self, canonical: str) -> Json | None:
        """Return a CodeSystem."""
        return self._all.get(("CodeSystem", canonical))

    def profiles(self) -> list[Json]:
        """Return the StructureDefinitions that constrain a type, each once, by URL."""
        found = {id(one): one for (kind, _), one in self._all.items() if kind != "ValueSet"}
        made = [one for one in found.values() if one.get("derivation") == "constraint"]
        return sorted(made, key=lambda one: (one["url"], one.get("version", "")))


def base_type(canonical: str) -> str:
    """Return the type that a canonical of the R4 specification itself names, or nothing."""
    name = canonical.partition("|")[0].removeprefix(BASE)
    return name if name.isalpha() and name != canonical else ""
