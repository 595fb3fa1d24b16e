"""A FHIR search as asked: names and values in, a frozen `Query` out, or a clear refusal.

R4 search.html: repetition is AND. A parameter nobody knows is refused under strict handling,
and otherwise ignored and reported; one without a value is always ignored and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gateway.errors import InvalidSearch, NotFound, TooCostly
from gateway.store.search.asked import Condition, Include, PatientIds, Query, Rules, Sort
from gateway.store.search.criteria import Criteria
from gateway.store.search.extraction import is_id
from gateway.store.search.parameters import PARAMETERS, SHARED, TYPES, Kind, Parameter, Place, find
from gateway.store.search.written import split

__all__ = ["Query", "Rules", "parse_query"]

_VALUES_MAX = 200
_CONDITIONS_MAX = 40
_INCLUDES_MAX = 20
_SORTS_MAX = 5
_SILENT = ("_format", "_pretty")
_SUMMARIES = ("true", "text", "data", "count", "false")
_RESULTS = frozenset({"_count", "_sort", "_summary", "_elements", "_total"})
"""Parameters about the answer; each is read by the method of its name."""
_SORTED = (Kind.DATE, Kind.STRING, Kind.TOKEN)


def parse_query(
    type_: str,
    pairs: Iterable[tuple[str, str]],
    rules: Rules,
    *,
    strict: bool = False,
    compartment: tuple[str, str] | None = None,
) -> Query:
    """Read the parameters of one search; `compartment` is ("Patient", id) of the record meant.

    Raises NotFound for a type that is not served or not in the compartment, InvalidSearch that
    names the parameter, TooCostly for too many values, conditions, chains or includes.
    """
    if type_ not in TYPES:
        raise NotFound("this server has no such resource type")
    reading = _Reading(type_, rules)
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise InvalidSearch("contains a NUL character")
        known = bool(value) and reading.take(name, value)
        if value and not known and strict:
            raise InvalidSearch("not a supported search parameter or value", where=_shown(name))
        if not known:
            reading.ignored.append(_shown(name))
    return reading.query(compartment)


def _shown(name: str) -> str:
    # A name is the caller's own text: show it only where it can hold nothing else.
    return name if re.fullmatch(r"[\w.:-]{1,64}", name, re.ASCII) else "a parameter"


class _Reading:
    """The parameters read so far."""

    def __init__(self, type_: str, rules: Rules) -> None:
        self.type, self.rules = type_, rules
        self.criteria = Criteria(type_, rules)
        self.conditions: list[Condition] = []
        self.includes: list[Include] = []
        self.pairs: list[tuple[str, str]] = []
        self.ignored: list[str] = []
        self.found: dict[str, Any] = {"count": rules.page_size}
        self.values = self.followed = 0

    def query(self, compartment: tuple[str, str] | None) -> Query:
        conditions = list(self.conditions)
        if compartment:
            conditions.append(_inside(self.type, *compartment))
        return Query(
            self.type,
            self.rules,
            conditions=tuple(conditions),
            includes=tuple(dict.fromkeys(self.includes)),
            pairs=tuple(self.pairs),
            ignored=tuple(self.ignored),
            compartment=compartment,
            **self.found,
        )

    def take(self, name: str, value: str) -> bool:
        """Apply one parameter; False when nobody knows it."""
        if name == "_cursor":
            self.found["cursor"] = value
            return True
        known = name in _SILENT or self._result(name, value) or self._condition(name, value)
        if known:
            self.pairs.append((name, value))
        return known

    def _result(self, name: str, value: str) -> bool:
        if name in _RESULTS:
            return bool(getattr(self, name)(value))
        kind, _, modifier = name.partition(":")
        if kind not in ("_include", "_revinclude") or modifier not in ("", "iterate", "recurse"):
            return False
        self.followed += 1
        if self.followed > _INCLUDES_MAX:
            raise TooCostly("too many includes in one search")
        follow = self._include if kind == "_include" else self._revinclude
        found = follow(value, bool(modifier))
        self.includes += found
        return bool(found)

    def _count(self, value: str) -> bool:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidSearch("must be a number", where="_count")
        count = min(int(value), self.rules.page_size_max)
        self.found["count"] = count
        if count == 0:
            self.found["count_only"] = True
        return True

    def _sort(self, value: str) -> bool:
        keys = [self._key(item) for item in value.split(",")]
        if len(keys) > _SORTS_MAX:
            raise TooCostly("too many sort keys")
        self.found["sort"] = tuple(keys)
        return True

    def _key(self, item: str) -> Sort:
        name, down = item.removeprefix("-"), item.startswith("-")
        if name in ("_id", "_lastUpdated"):
            return Sort(name, 0, None, down)
        parameter = find(self.type, name)
        if parameter and parameter.kind in _SORTED and _alone(parameter):
            return Sort(name, parameter.number, parameter.kind, down)
        raise InvalidSearch("cannot be sorted by this", where="_sort")

    def _summary(self, value: str) -> bool:
        if value not in _SUMMARIES:
            return False
        self.found["summary"] = value
        if value == "count":
            self.found["count_only"] = True
        return True

    def _elements(self, value: str) -> bool:
        names = tuple(name.strip() for name in value.split(","))
        if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9.]{0,80}", name, re.ASCII) for name in names):
            raise InvalidSearch("must be names of elements", where="_elements")
        self.found["elements"] = names
        return True

    def _total(self, value: str) -> bool:
        if value not in ("none", "estimate", "accurate"):
            return False
        self.found["total"] = value
        return True

    # -- includes -------------------------------------------------------------------------

    def _include(self, value: str, iterate: bool) -> list[Include]:
        source, _, rest = value.partition(":")
        name, _, target = rest.partition(":")
        if source == "*" and not rest:
            sources, name = (tuple(PARAMETERS) if iterate else (self.type,)), "*"
        else:
            sources = (source,) if iterate or source == self.type else ()
        return [
            Include(one.number, one.type, target or _narrowed(one), iterate=iterate)
            for one in _references(sources, name)
            if not target or target in one.targets
        ]

    def _revinclude(self, value: str, iterate: bool) -> list[Include]:
        source, _, rest = value.partition(":")
        name, _, target = rest.partition(":")
        if source == "*" and not rest:
            sources, name = tuple(PARAMETERS), "*"
        else:
            sources = (source,)
        wanted = target or ("" if iterate else self.type)
        return [
            Include(one.number, one.type, target, True, iterate, one.patient)
            for one in _references(sources, name)
            if not wanted or wanted in one.targets
        ]

    # -- conditions -----------------------------------------------------------------------

    def _condition(self, name: str, value: str) -> bool:
        values = [item for item in split(value, ",") if item]
        self.values += len(values)
        if self.values > _VALUES_MAX or len(self.conditions) >= _CONDITIONS_MAX:
            raise TooCostly("too many values or conditions in one search")
        condition = self.criteria.read(name, values) if values else None
        if condition is not None:
            self.conditions.append(condition)
        return condition is not None


def _alone(parameter: Parameter) -> bool:
    return bool(parameter.paths) and parameter.place is Place.ALONE


@lru_cache(maxsize=1024)
def _narrowed(parameter: Parameter) -> str:
    """Return the one type meant, where another parameter reads the same references for more."""
    own = PARAMETERS[parameter.type].values()
    shared = any(p.number == parameter.number and p.targets != parameter.targets for p in own)
    return parameter.targets[0] if shared and len(parameter.targets) == 1 else ""


@lru_cache(maxsize=256)
def _references(types: tuple[str, ...], name: str) -> tuple[Parameter, ...]:
    return tuple(
        one
        for type_ in types
        for one in PARAMETERS.get(type_, {}).values()
        if one.kind is Kind.REFERENCE and name in ("*", one.name)
    )


def _inside(type_: str, kind: str, id_: str) -> Condition:
    """Say a row is in the record of a patient: of a resource, only what names its patient is."""
    if kind != "Patient" or type_ in SHARED or not is_id(id_):
        raise NotFound("this type is not in the compartment")
    return PatientIds((id_,))
