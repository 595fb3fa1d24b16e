"""A search that shares nothing with ours but dates: FHIRPath over every resource, then Python.

`meets` is asked with the parameter as data, so that it parses no query either.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import fhirpathpy
from fhirpathpy.models import models

from gateway.store.dates import FIRST, LAST, interval
from tests.store.search.samples import expression

World = Mapping[tuple[str, str], Mapping[str, Any]]


class Asked(NamedTuple):
    """One parameter: its name, modifier, and values as the query writes them; or a hop.

    A hop follows `name` to `type` (backwards: from `type`), where `then` must be met.
    """

    name: str
    values: tuple[str, ...] = ()
    modifier: str = ""
    kind: str = "token"
    type: str = ""
    backwards: bool = False
    then: Asked | None = None

    def written(self) -> tuple[str, str]:
        """Write it as a query does."""
        if self.then is None:
            name = f"{self.name}:{self.modifier}" if self.modifier else self.name
            return name, ",".join(self.values)
        name, value = self.then.written()
        if self.backwards:
            return f"_has:{self.type}:{self.name}:{name}", value
        return f"{self.name}:{self.type}.{name}", value


@lru_cache(maxsize=256)
def _compiled(written: str) -> Callable[[Any], list[Any]]:
    made: Callable[[Any], list[Any]] = fhirpathpy.compile(written, model=models["r4"])
    return made


def _values(resource: Mapping[str, Any], name: str) -> list[Any]:
    written = expression(resource["resourceType"], name)
    if name.endswith("quantity"):  # the oracle would make a quantity of its own
        written = written.partition(".value")[0]
        return [one["valueQuantity"] for one in _compiled(written)(resource)
                if "valueQuantity" in one]  # fmt: skip
    return _compiled(written)(resource)


def meets(world: World, resource: Mapping[str, Any], asked: Asked) -> bool:
    """Whether a resource is a match of one parameter."""
    if asked.then is not None:
        return any(meets(world, other, asked.then) for other in _others(world, resource, asked))
    if asked.name.startswith("combo-"):
        each = (asked._replace(name=asked.name.replace("combo", with_))
                for with_ in ("component",))  # fmt: skip
        plain = asked._replace(name=asked.name.removeprefix("combo-"), modifier="")
        found = meets(world, resource, plain) or any(
            meets(world, resource, one._replace(modifier="")) for one in each
        )
        return found != (asked.modifier == "not")
    if asked.kind == "composite":
        return any(_pair(part, asked) for part in _parts(resource, asked.name))
    values = _values(resource, asked.name)
    if asked.modifier == "missing":
        return bool(values) != (asked.values == ("true",))
    found = any(_one(asked, value, text) for value in values for text in asked.values)
    return found != (asked.modifier == "not")


def _others(world: World, resource: Mapping[str, Any], asked: Asked) -> Iterator[Mapping[str, Any]]:
    if not asked.backwards:
        for one in _values(resource, asked.name):
            type_, _, id_ = one.get("reference", "").partition("/")
            if type_ == asked.type and (type_, id_) in world:
                yield world[type_, id_]
        return
    here = f"{resource['resourceType']}/{resource['id']}"
    for other in world.values():
        if other["resourceType"] == asked.type and any(
            one.get("reference") == here for one in _values(other, asked.name)
        ):
            yield other


def _parts(resource: Mapping[str, Any], name: str) -> list[Any]:
    if name.startswith("component-"):
        found: list[Any] = _compiled("Observation.component")(resource)
        return found
    return [resource]


def _pair(part: Mapping[str, Any], asked: Asked) -> bool:
    for text in asked.values:
        code, value = text.split("$")
        if not _token(part.get("code"), code):
            continue
        if asked.name.endswith("quantity"):
            if "valueQuantity" in part and _quantity(part["valueQuantity"], value):
                return True
        elif _token(part.get("valueCodeableConcept"), value):
            return True
    return False


def _one(asked: Asked, value: Any, text: str) -> bool:
    if asked.kind == "reference":
        return bool(value.get("reference") == text)
    if asked.kind == "string":
        return any(_string(each, asked.modifier, text) for each in _texts(value))
    return {"token": _token, "date": _date, "quantity": _quantity}[asked.kind](value, text)


def _token(value: Any, text: str) -> bool:
    if value is None:
        return False
    if isinstance(value, str):
        return value == text
    if "coding" in value:
        return any(_token(one, text) for one in value["coding"])
    code = value.get("code", value.get("value"))
    system, bar, wanted = text.rpartition("|")
    if not bar:
        return bool(code == text)
    return value.get("system", "") == system and wanted in ("", code)


def _date(value: Any, text: str) -> bool:
    prefix, low, high = "eq", *interval(text.lstrip("abcdefghijklmnopqrstuvwxyz"))
    if text[0].isalpha():
        prefix = text[:2]
    if isinstance(value, str):
        first, end = interval(value)
    else:
        first = interval(value["start"])[0] if "start" in value else FIRST
        end = interval(value["end"])[1] if "end" in value else LAST
    within = low <= first and end <= high
    return {
        "eq": within,
        "ne": not within,
        "lt": first < low,
        "gt": end > high,
        "le": first < low or within,
        "ge": end > high or within,
        "sa": first >= high,
        "eb": end <= low,
        "ap": first < high + (high - low) and end > low - (high - low),
    }[prefix]


def _quantity(value: Mapping[str, Any], text: str) -> bool:
    written, *unit = text.split("|")
    prefix = written[:2] if written[0].isalpha() else "eq"
    digits = written.lstrip("abcdefghijklmnopqrstuvwxyz")
    asked, there = Decimal(digits), Decimal(str(value["value"]))
    half = Decimal(5).scaleb(-len(digits.partition(".")[2]) - 1)
    if unit:
        system, code = unit
        texts = [value.get("code")] if system else [value.get("code"), value.get("unit")]
        if code not in texts or (system and value.get("system") != system):
            return False
    near = asked - half <= there < asked + half
    return {
        "eq": near,
        "ne": not near,
        "lt": there < asked,
        "gt": there > asked,
        "le": there <= asked,
        "ge": there >= asked,
        "sa": there > asked,
        "eb": there < asked,
        "ap": abs(there - asked) <= abs(asked) / 10,
    }[prefix]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        for key, one in value.items():
            if key not in ("use", "period", "type"):
                yield from _texts(one)


def _string(value: str, modifier: str, text: str) -> bool:
    if modifier == "exact":
        return value == text
    here, asked = _plain(value), _plain(text)
    return asked in here if modifier == "contains" else here.startswith(asked)


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in parts if not unicodedata.category(c).startswith("M"))
