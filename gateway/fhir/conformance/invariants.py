"""The invariants of base R4 on what the gateway writes, by hand; each names its key.

A rule is given objects of sound structure, and says only the first thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.fhir.conformance.problem import Problem

Rule = Callable[[dict[str, Any]], Problem | None]


def _has_value(content: Mapping[str, Any]) -> bool:
    for name in content:  # noqa: SIM110 - `any` over a generator is twice as slow, and this is hot
        if name.startswith(("value", "_value")):
            return True
    return False


def _ext_1(content: dict[str, Any]) -> Problem | None:
    if ("extension" in content) == _has_value(content):
        return Problem("", "must have either a value or extensions (ext-1)")
    return None


def _obs_6(content: dict[str, Any]) -> Problem | None:
    if "dataAbsentReason" in content and _has_value(content):
        return Problem(".dataAbsentReason", "must not stand beside a value (obs-6)")
    return None


def _obs_7(content: dict[str, Any]) -> Problem | None:
    if "component" not in content or not _has_value(content):
        return None
    code = {_pair(one) for one in content["code"].get("coding", ())}
    for index, part in enumerate(content["component"]):
        for one in part["code"].get("coding", ()):
            if _pair(one) in code:
                where = f".component[{index}].code"
                return Problem(where, "must differ from the code of the resource (obs-7)")
    return None


def _pair(coding: dict[str, Any]) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")


def _qty_3(content: dict[str, Any]) -> Problem | None:
    if "code" in content and "system" not in content:
        return Problem(".code", "needs a system (qty-3)")
    return None


def _att_1(content: dict[str, Any]) -> Problem | None:
    if "data" in content and "contentType" not in content:
        return Problem(".data", "needs a contentType (att-1)")
    return None


def _org_1(content: dict[str, Any]) -> Problem | None:
    if "identifier" not in content and "name" not in content:
        return Problem("", "must have a name or an identifier (org-1)")
    return None


def _ref_1(content: dict[str, Any]) -> Problem | None:
    # Ours, and stricter than the clause: a Reference with a type alone points to nothing.
    if "reference" in content or not _SAYS.isdisjoint(content):
        return None
    return Problem("", "must say what it points to")


_SAYS = frozenset({"identifier", "display", "extension", "_reference"})


def _rng_2(content: dict[str, Any]) -> Problem | None:
    low, high = (content.get(end, {}).get("value") for end in ("low", "high"))
    if low is not None and high is not None and low > high:
        return Problem("", "must not end before it starts (rng-2)")
    return None


INVARIANTS: Mapping[str, tuple[Rule, ...]] = {
    "Attachment": (_att_1,),
    "Extension": (_ext_1,),
    "Observation": (_obs_6, _obs_7),
    "ObservationComponent": (_obs_6,),
    "Organization": (_org_1,),
    "Quantity": (_qty_3,),
    "Range": (_rng_2,),
    "Reference": (_ref_1,),
}
