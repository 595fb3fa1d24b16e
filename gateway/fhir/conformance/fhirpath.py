"""Evaluate the invariants of installed profiles, where fhirpathpy is installed.

The gateway itself does not need it: without it every such invariant is reported as not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from gateway.fhir.conformance.items import Item

Json = dict[str, Any]
Compiled = Callable[[Any, dict[str, Any]], list[Any]]


class FhirPath:
    """Compiled expressions; keep one, because compiling takes longer than evaluating."""

    def __init__(self) -> None:
        self._compiled: dict[str, Compiled | None] = {}
        self._installed = find_spec("fhirpathpy") is not None

    def holds(self, expression: str, item: Item, resource: Json) -> bool | None:
        """Say whether an invariant is true, or None where it cannot be evaluated."""
        if not self._installed or item.value is None:
            return None if not self._installed else True
        if expression not in self._compiled:
            self._compiled[expression] = _compile(expression)
        compiled = self._compiled[expression]
        if compiled is None:
            return None
        try:
            result = compiled(item.value, {"resource": resource, "rootResource": resource})
        except Exception:  # it raises what it likes, e.g. for resolve()
            return None
        return result == [True]


def _compile(expression: str) -> Compiled | None:
    # Here and not above: parsing its grammar and model takes a fifth of a second.
    from fhirpathpy import compile as compile_expression
    from fhirpathpy.models import models

    try:
        made: Compiled = compile_expression(expression, models["r4"])
    except Exception:  # its parser raises its own classes and others
        return None
    return made
