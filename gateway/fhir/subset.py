"""Parts of a resource: `_summary` and `_elements` (R4 search.html 3.1.1.5.8, 3.1.1.5.9)."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from gateway.fhir.classes import members
from gateway.fhir.terms import Json

_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
}  # fmt: skip
_ALWAYS = frozenset({"resourceType", "id", "meta"})


class Summary(StrEnum):
    """The values of `_summary`."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


def summarised(resource: Json, summary: Summary) -> Json:
    """Return what a summary shows of a resource, tagged as a part of it."""
    order = members(resource["resourceType"])
    if summary is Summary.DATA:
        return _kept(resource, {name for name in order if name != "text"})
    if summary is Summary.TEXT:
        return _kept(resource, {name for name, one in order.items() if one.required} | {"text"})
    return _kept(resource, {name for name, one in order.items() if one.summary or one.required})


def chosen(resource: Json, elements: Collection[str]) -> Json:
    """Return the elements named, bare or as `Type.element`; what must be there stays."""
    type_ = resource["resourceType"]
    wanted = {one.removeprefix(f"{type_}.") for one in elements}
    required = {name for name, one in members(type_).items() if one.required}
    return _kept(resource, wanted | required)


def _kept(resource: Json, names: Collection[str]) -> Json:
    made = {
        name: value
        for name, value in resource.items()
        if name in _ALWAYS or name.removeprefix("_") in names
    }
    if len(made) < len(resource):
        meta = made.get("meta", {})
        tags = [one for one in meta.get("tag", ()) if one != _SUBSETTED]
        made["meta"] = {**meta, "tag": [*tags, _SUBSETTED]}
    return made
