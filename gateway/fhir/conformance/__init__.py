"""Is a resource well formed, and does it keep the profiles it claims?

Two layers: base R4 structure (`structure`), then Genomics Reporting (`profiles`). Nothing is
imported or compiled before the first resource is checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gateway.errors import NotConformant
from gateway.fhir.conformance.problem import Problem, under
from gateway.fhir.conformance.profiles import problems
from gateway.fhir.conformance.quick import Same

__all__ = ["Checker", "Problem", "check", "check_all"]


class Checker:
    """Checks resources; keep one, because it compiles its tables as it meets new types."""

    def __init__(self) -> None:
        # Here and not above: fhir.resources takes a tenth of a second and 20 MiB.
        from gateway.fhir.conformance.structure import Structure

        self._structure = Structure()

    def problems(self, resource: Any, same: Same | None = None) -> list[Problem]:
        """Return everything that is wrong, base structure first; profiles need it sound.

        Give one `same` for all the resources of a report, which share parts: none is checked twice.
        """
        found = self._structure.resource(resource, same) or list(problems(resource))
        if not found:
            return []
        type_ = resource.get("resourceType") if isinstance(resource, dict) else ""
        return under(type_ if isinstance(type_, str) and type_ else "Resource", found)


@lru_cache(maxsize=1)
def _checker() -> Checker:
    return Checker()


def check(resource: Any) -> None:
    """Raise NotConformant, with the place of the first problem."""
    check_all((resource,))


def check_all(resources: Iterable[Any]) -> None:
    """Check the resources of one report, which nothing changes meanwhile, as `check` does."""
    checker, same = _checker(), Same()
    for resource in resources:
        found = checker.problems(resource, same)
        if found:
            raise NotConformant(found[0].text, where=found[0].path)
