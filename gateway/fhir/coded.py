"""Answers about codes: `$translate` and `$expand` (R4 conceptmap and valueset operations)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gateway.errors import InvalidRequest
from gateway.fhir import terms
from gateway.fhir.conformance.definitions import Definitions
from gateway.fhir.terms import Json

_DEPTH_MAX = 20


class Mapped(NamedTuple):
    """One row of a code table that we hold."""

    source: str
    text: str
    target: str
    display: str
    system: str


def translation(rows: Iterable[Mapped], concept_map: str) -> Json:
    """Write what a code means, as `$translate` answers; no rows, no match."""
    matches = [
        {
            "name": "match",
            "part": [
                {"name": "equivalence", "valueCode": "equivalent"},
                {"name": "concept", "valueCoding": terms.put({}, _coding(row))},
                {"name": "source", "valueUri": concept_map},
            ],
        }
        for row in rows
        if row.target
    ]
    said = [] if matches else [{"name": "message", "valueString": "No row of the table has it"}]
    result = {"name": "result", "valueBoolean": bool(matches)}
    return {"resourceType": "Parameters", "parameter": [result, *said, *matches]}


def expansion(
    value_set: Json,
    codings: Sequence[Json],
    timestamp: str,
    *,
    words: str = "",
    count: int | None = None,
    offset: int = 0,
) -> Json:
    """Write a value set with the part of its codes that was asked for; `words` filters."""
    sought = words.casefold()
    found = [
        one
        for one in codings
        if sought in one["code"].casefold() or sought in one.get("display", "").casefold()
    ]
    page = found[offset : None if count is None else offset + count]
    kept = {name: value for name, value in value_set.items() if name not in ("compose", "text")}
    asked = {"filter": ("valueString", words), "offset": ("valueInteger", offset),
             "count": ("valueInteger", count)}  # fmt: skip
    parameters = [
        {"name": name, kind: value}
        for name, (kind, value) in asked.items()
        if value not in ("", None)
    ]
    made = {
        "timestamp": timestamp, "total": len(found), "offset": offset, "parameter": parameters,
    }  # fmt: skip
    return {**kept, "expansion": terms.put(made, {"contains": page})}


def codes_of(definitions: Definitions, canonical: str) -> list[Json]:
    """Return the codes of an installed value set; raises InvalidRequest when it cannot tell."""
    return list({(one.get("system"), one["code"]): one for one in _codes(definitions, canonical, 0)}
                .values())  # fmt: skip


def _codes(definitions: Definitions, canonical: str, depth: int) -> Iterator[Json]:
    found = definitions.value_set(canonical)
    if found is None or depth > _DEPTH_MAX:
        raise InvalidRequest("needs a value set that is not installed", where="url")
    compose = found.get("compose")
    if compose is None:
        yield from _flat(found.get("expansion", {}).get("contains", ()))
        return
    excluded = {
        (one.get("system"), one["code"])
        for part in compose.get("exclude", ())
        for one in _part(definitions, part, depth)
    }
    for part in compose.get("include", ()):
        for one in _part(definitions, part, depth):
            if (one.get("system"), one["code"]) not in excluded:
                yield one


def _part(definitions: Definitions, part: Json, depth: int) -> Iterator[Json]:
    several = part.get("valueSet", [])
    if "system" not in part:
        for canonical in several:
            yield from _codes(definitions, canonical, depth + 1)
        return
    if several or "filter" in part:
        raise InvalidRequest("is defined by rules that this server cannot expand", where="url")
    if "concept" in part:
        concepts = part["concept"]
    else:
        system = definitions.code_system(part["system"]) or {}
        if system.get("content") != "complete":
            raise InvalidRequest("needs a code system that is not installed", where="url")
        concepts = list(_nested(system.get("concept", ())))
    for one in concepts:
        yield terms.put({"system": part["system"], "code": one["code"]},
                        {"display": one.get("display")})  # fmt: skip


def _nested(concepts: Iterable[Json]) -> Iterator[Json]:
    for one in concepts:
        yield one
        yield from _nested(one.get("concept", ()))


def _flat(contains: Iterable[Json]) -> Iterator[Json]:
    for one in contains:
        if "code" in one and not one.get("abstract"):
            yield {name: one[name] for name in ("system", "code", "display") if name in one}
        yield from _flat(one.get("contains", ()))


def table_value_set(url: str, name: str, rows: Iterable[Mapped]) -> tuple[Json, list[Json]]:
    """Return the value set of a code table's targets, and its codes."""
    codings = {
        (row.system, row.target): terms.put({}, _coding(row))
        for row in rows
        if row.target and row.system
    }
    head = {"resourceType": "ValueSet", "url": url, "name": name, "status": "active"}
    return head, list(codings.values())


def _coding(row: Mapped) -> Json:
    return {"system": row.system, "code": row.target, "display": row.display}
