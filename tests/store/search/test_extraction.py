"""Extraction against fhirpathpy running the expressions of the R4 search parameters."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import fhirpathpy
import orjson
import pytest
from fhirpathpy.models import models

from gateway.errors import InvalidValue
from gateway.store.dates import LAST, instant_text, interval
from gateway.store.search.extraction import Values, at, fold, string_key, values
from gateway.store.search.parameters import EVERYWHERE, PARAMETERS, Kind, Parameter
from tests.store.search.samples import SAMPLES, expression

_EXAMPLES = sorted((Path(__file__).parents[3] / "mappings").glob("*/examples/*.json"))
INDEXED = [
    (type_, parameter)
    for type_, own in PARAMETERS.items()
    for parameter in (*own.values(), *EVERYWHERE.values())
    if parameter.paths
]


def _expected(resource: dict[str, Any], name: str) -> list[Any]:
    written = expression(resource["resourceType"], name)
    if name.endswith("quantity"):  # the oracle makes a quantity of its own
        written += ".value"
    found: list[Any] = fhirpathpy.evaluate(resource, written, model=models["r4"])
    return found


def _found(resource: dict[str, Any], parameter: Parameter) -> list[Any]:
    found = [value for path in parameter.paths for value in at(resource, path)]
    if parameter.contact:
        found = [one for one in found if one["system"] == parameter.contact]
    if parameter.kind is Kind.QUANTITY:  # as a decimal is written: so does the oracle give it
        return [Decimal(str(one["value"])) for one in found]
    return found


def _rows(made: Values, parameter: Parameter) -> list[Any]:
    beginning = f"{parameter.number}\x1f"
    literals = [code.bare for pair in made.pairs for code in pair]
    tokens = [text for text in (*made.tokens, *literals) if text.startswith(beginning)]
    return {
        Kind.TOKEN: tokens,
        Kind.URI: tokens,
        Kind.REFERENCE: [r for r in made.references if r[0] == parameter.number],
        Kind.DATE: [d for d in made.dates if d[0] == parameter.number],
        Kind.STRING: [s for s in made.strings if s[0] == parameter.number],
        Kind.QUANTITY: [q for q in made.quantities if q.number == parameter.number],
    }[parameter.kind]


@pytest.mark.parametrize(
    ("type_", "parameter"), INDEXED, ids=[f"{type_}.{p.name}" for type_, p in INDEXED]
)
def test_extraction_agrees_with_the_published_expression(type_: str, parameter: Parameter) -> None:
    found = False
    for resource in SAMPLES:
        if resource["resourceType"] == type_:
            expected = _expected(resource, parameter.name)
            assert _found(resource, parameter) == expected
            assert bool(_rows(values(type_, resource), parameter)) == bool(expected)
            found = found or bool(expected)
    assert found


@pytest.mark.parametrize("path", _EXAMPLES, ids=[f"{p.parts[-3]}-{p.stem}" for p in _EXAMPLES])
def test_extraction_agrees_on_what_the_mappings_make(path: Path) -> None:
    for entry in orjson.loads(path.read_bytes()).get("entry", []):
        resource = entry["resource"]
        for type_, parameter in INDEXED:
            if type_ == resource["resourceType"]:
                assert _found(resource, parameter) == _expected(resource, parameter.name)


def test_a_code_is_paired_with_the_value_beside_it_only() -> None:
    def concept(code: str) -> dict[str, Any]:
        return {"coding": [{"system": "urn:s", "code": code}]}

    made = values("Observation", {"component": [
        {"code": concept("a"), "valueCodeableConcept": concept("1")},
        {"code": concept("b"), "valueCodeableConcept": concept("2")},
        {"code": concept("c")},
    ]})  # fmt: skip
    pairs = {(c.bare.partition("\x1f")[2], v.bare.partition("\x1f")[2]) for c, v in made.pairs}
    assert pairs == {("a", "1"), ("b", "2"), ("c", "")}


def test_texts_are_folded_and_what_is_too_long_is_searched_by_its_beginning() -> None:
    assert fold("  Éva   MÜLLER-Straße ") == "eva muller-strasse"
    text, exact = string_key("a" * 10_000)
    assert (len(text), exact) == (500, string_key("a" * 10_000)[1])


def test_numbers_are_used_once() -> None:
    places: dict[int, set[tuple[str, tuple[str, ...]]]] = {}
    for rows in (EVERYWHERE, *PARAMETERS.values()):
        for parameter in rows.values():
            meant = parameter.paths or (parameter.name,)
            places.setdefault(parameter.number, set()).add((parameter.type, meant))
    assert all(len(several) == 1 for several in places.values())
    assert 0 not in places


def test_a_bad_date_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidValue) as caught:
        values("Observation", {"effectivePeriod": {"start": "soon"}})
    assert caught.value.where == "Observation.effectivePeriod"


HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("2025", "2025-01-01T00:00:00.000Z", 365 * 24 * HOUR),
        ("2025-02", "2025-02-01T00:00:00.000Z", 28 * 24 * HOUR),
        ("2025-12", "2025-12-01T00:00:00.000Z", 31 * 24 * HOUR),
        ("2025-07-01", "2025-06-30T23:00:00.000Z", 24 * HOUR),
        ("2025-03-30", "2025-03-30T00:00:00.000Z", 23 * HOUR),  # the clocks go forward
        ("2025-10-26", "2025-10-25T23:00:00.000Z", 25 * HOUR),  # and back
        ("2025-01-01T10:00", "2025-01-01T10:00:00.000Z", HOUR // 60),
        ("2025-01-01T10:00:01Z", "2025-01-01T10:00:01.000Z", 1_000_000),
        ("2025-01-01T10:00:01.5-05:00", "2025-01-01T15:00:01.500Z", 100_000),
        ("2025-01-01T10:00:01.123456789Z", "2025-01-01T10:00:01.123Z", 1),
    ],
)
def test_a_date_is_the_interval_it_means(text: str, low: str, width: int) -> None:
    first, end = interval(text)
    assert (instant_text(first), end - first) == (low, width)


def test_the_last_year_has_no_end() -> None:
    assert interval("9999-12-31")[1] == LAST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "2025-13",
        "2025-02-30",
        "2025-1-1",
        "2025-01-01T",
        "2025-01-01T25:00:00Z",
        "0000",
        "٢٠٢٥",
        "2025-01-01 10:00",
        "2025-01-01T10:00:00+99:00",
        "2025\n",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(InvalidValue):
        interval(text)
