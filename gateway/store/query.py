"""A FHIR search as asked: names and values in, a frozen `Query` out, or a clear refusal.

R4 search.html: repetition is AND, a comma is OR, a backslash escapes `,`, `|`, `$` and itself.
A modifier or chain that is not supported is refused; a parameter nobody knows is refused under
strict handling, and otherwise ignored and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.errors import InvalidSearch, InvalidValue, NotFound, TooCostly
from gateway.store.dates import interval
from gateway.store.extraction import is_id, token_literal
from gateway.store.parameters import PARAMETERS, TYPES, Kind, Parameter

PREFIXES = ("eq", "ne", "lt", "gt", "le", "ge", "sa", "eb")
_VALUES_MAX = 200
_PREFIX = re.compile(r"([a-z]{2})?(.*)", re.DOTALL)
_SILENT = ("_format", "_pretty")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a search depends on besides its parameters.

    `aliases` maps any identifier system to the one that is stored; `secret` signs cursors.
    """

    base: str
    secret: bytes = field(repr=False)
    aliases: Mapping[str, str] = field(default_factory=dict)
    page_size: int = 50
    page_size_max: int = 500


@dataclass(frozen=True, slots=True)
class Tokens:
    """Any of these token literals."""

    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """A reference of this parameter to any of these (types, id)."""

    number: int
    targets: tuple[tuple[tuple[str, ...], str], ...]


@dataclass(frozen=True, slots=True)
class PatientIds:
    """The record of any of the patients with these Patient ids, or of who they were merged into."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatientIdentifiers:
    """The record of any of the patients with these (system, value) identifiers."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Dates:
    """Any of these (prefix, low, high); number 0 is _lastUpdated."""

    number: int
    ranges: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Ids:
    """Any of these resource ids."""

    ids: tuple[str, ...]


Condition = Tokens | References | PatientIds | PatientIdentifiers | Dates | Ids


@dataclass(frozen=True, slots=True)
class Sort:
    """Newest filed first (number None), by a date parameter, or by _lastUpdated (0)."""

    number: int | None = None
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Include:
    """Follow this reference parameter; `type` keeps only targets of that type."""

    number: int
    type: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One search, understood; `pairs` are the parameters applied, `ignored` the names not."""

    type: str
    rules: Rules
    conditions: tuple[Condition, ...]
    includes: tuple[Include, ...]
    sort: Sort
    count: int
    count_only: bool
    total: bool
    cursor: str
    pairs: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def parse_query(
    type_: str, pairs: Iterable[tuple[str, str]], rules: Rules, *, strict: bool = False
) -> Query:
    """Read the parameters of one search.

    Raises NotFound for a type that is not served, InvalidSearch that names the parameter,
    TooCostly for too many values.
    """
    if type_ not in TYPES:
        raise NotFound("this server has no such resource type")
    reading = _Reading(type_, rules)
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise InvalidSearch("contains a NUL character")
        if value and not reading.take(name, value):
            if strict:
                raise InvalidSearch("not a supported search parameter or value", where=_shown(name))
            reading.ignored.append(_shown(name))
    return reading.query()


def _shown(name: str) -> str:
    # A name is the caller's own text: show it only where it can hold nothing else.
    return name if re.fullmatch(r"[\w.:-]{1,64}", name, re.ASCII) else "a parameter"


class _Reading:
    """The parameters read so far."""

    def __init__(self, type_: str, rules: Rules) -> None:
        self.type, self.rules = type_, rules
        self.parameters = PARAMETERS.get(type_, {})
        self.conditions: list[Condition] = []
        self.includes: list[Include] = []
        self.pairs: list[tuple[str, str]] = []
        self.ignored: list[str] = []
        self.sort, self.count = Sort(), rules.page_size
        self.count_only = self.total = False
        self.cursor = ""
        self.values = 0

    def query(self) -> Query:
        return Query(
            self.type,
            self.rules,
            tuple(self.conditions),
            tuple(self.includes),
            self.sort,
            self.count,
            self.count_only,
            self.total,
            self.cursor,
            tuple(self.pairs),
            tuple(self.ignored),
        )

    def take(self, name: str, value: str) -> bool:
        """Apply one parameter; False when nobody knows it."""
        if name == "_cursor":
            self.cursor = value
            return True
        known = name in _SILENT or self._result(name, value) or self._condition(name, value)
        if known:
            self.pairs.append((name, value))
        return known

    def _result(self, name: str, value: str) -> bool:
        readers = {
            "_count": self._count,
            "_sort": self._sort,
            "_include": self._include,
            "_summary": self._summary,
            "_total": self._total,
        }
        reader = readers.get(name)
        return reader is not None and reader(value)

    def _count(self, value: str) -> bool:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidSearch("must be a number", where="_count")
        self.count = min(int(value), self.rules.page_size_max)
        if self.count == 0:
            self.count_only = True
        return True

    def _sort(self, value: str) -> bool:
        name = value.removeprefix("-")
        parameter = self.parameters.get(name)
        if name == "_lastUpdated":
            self.sort = Sort(0, value.startswith("-"))
        elif parameter and parameter.kind is Kind.DATE:
            self.sort = Sort(parameter.number, value.startswith("-"))
        else:
            raise InvalidSearch("sorts by one date parameter or _lastUpdated", where="_sort")
        return True

    def _summary(self, value: str) -> bool:
        self.count_only = self.count_only or value == "count"
        return value in ("count", "false")

    def _total(self, value: str) -> bool:
        self.total = value in ("accurate", "estimate")
        return value in ("accurate", "estimate", "none")

    def _include(self, value: str) -> bool:
        type_, _, rest = value.partition(":")
        name, _, target = rest.partition(":")
        if type_ != self.type:
            return False
        references = [p for p in self.parameters.values() if p.kind is Kind.REFERENCE]
        followed = [p for p in references if name in ("*", p.name)]
        if target:
            followed = [p for p in followed if target in p.targets]
        self.includes += [Include(parameter.number, target) for parameter in followed]
        return bool(followed)

    def _condition(self, name: str, value: str) -> bool:
        base, _, chain = name.partition(".")
        base, _, modifier = base.partition(":")
        values = split(value, ",")
        self.values += len(values)
        if self.values > _VALUES_MAX:
            raise TooCostly("too many values in one search")
        parameter = self.parameters.get(base)
        if parameter is None and not (self.parameters and base in ("_id", "_lastUpdated")):
            return False
        if parameter is None or parameter.kind is not Kind.REFERENCE:
            _plain(base, modifier, chain)
        elif modifier and modifier not in parameter.targets:
            raise InvalidSearch("this modifier is not supported", where=base)
        if parameter is None:
            condition: Condition = (
                _ids(values) if base == "_id" else _dates("_lastUpdated", 0, values)
            )
        elif parameter.kind is Kind.TOKEN:
            condition = Tokens(tuple(self._token(parameter, item) for item in values))
        elif parameter.kind is Kind.DATE:
            condition = _dates(base, parameter.number, values)
        else:
            condition = self._reference(parameter, modifier, chain, values)
        self.conditions.append(condition)
        return True

    def _token(self, parameter: Parameter, text: str) -> str:
        system, code = self._coded(parameter.name, text)
        if system is None and parameter.needs_system:
            raise InvalidSearch(_NEEDS_SYSTEM, where=parameter.name)
        if parameter.system:
            # Stored without its system, which is fixed; a foreign one can match nothing.
            return token_literal(parameter, code, None if system == parameter.system else system)
        return token_literal(parameter, code, system)

    def _coded(self, name: str, text: str) -> tuple[str | None, str]:
        parts = [unescape(part) for part in split(text, "|")]
        if len(parts) > 2 or not parts[-1]:
            raise InvalidSearch("must be a code, or system|code", where=name)
        if len(parts) == 1:
            return None, parts[0]
        return self.rules.aliases.get(parts[0], parts[0]), parts[1]

    def _reference(
        self, parameter: Parameter, modifier: str, chain: str, values: list[str]
    ) -> Condition:
        where = f"{parameter.name}.{chain}" if chain else parameter.name
        if chain and not (parameter.patient and chain == "identifier"):
            raise InvalidSearch("this chained parameter is not supported", where=parameter.name)
        if chain:
            pairs = [self._coded(where, item) for item in values]
            if any(system is None for system, _ in pairs):
                raise InvalidSearch(_NEEDS_SYSTEM, where=where)
            return PatientIdentifiers(tuple((system or "", value) for system, value in pairs))
        types = (modifier,) if modifier else parameter.targets
        targets = [self._target(parameter, types, unescape(item)) for item in values]
        if parameter.patient:
            return PatientIds(tuple(id_ for types, id_ in targets if types))
        return References(parameter.number, tuple(targets))

    def _target(
        self, parameter: Parameter, types: tuple[str, ...], text: str
    ) -> tuple[tuple[str, ...], str]:
        """Return the types and the id meant; no type when it can match nothing here."""
        local = text.removeprefix(self.rules.base + "/")
        if "://" in local or local.startswith("urn:"):
            return (), ""
        type_, slash, id_ = local.rpartition("/")
        if not is_id(id_) or (slash and type_ not in TYPES):
            raise InvalidSearch("must be an id, Type/id or a URL", where=parameter.name)
        return (tuple(t for t in types if not slash or t == type_)), id_


_NEEDS_SYSTEM = "must say system|value: other identifiers may have the same digits"


def _plain(name: str, modifier: str, chain: str) -> None:
    if modifier:
        raise InvalidSearch("this modifier is not supported", where=name)
    if chain:
        raise InvalidSearch("this parameter cannot be chained", where=name)


def _ids(values: list[str]) -> Ids:
    # What cannot be an id is simply the id of nothing.
    return Ids(tuple(value for value in values if is_id(value)))


def _dates(name: str, number: int, values: list[str]) -> Dates:
    return Dates(number, tuple(_range(name, unescape(value)) for value in values))


def _range(name: str, text: str) -> tuple[str, int, int]:
    found = _PREFIX.fullmatch(text)
    prefix, date = (found[1] or "eq", found[2]) if found else ("eq", text)
    if prefix not in PREFIXES:
        raise InvalidSearch("this prefix is not supported", where=name)
    try:
        # A plus sign that was not encoded arrives as a space.
        return (prefix, *interval(date.replace(" ", "+")))
    except InvalidValue as error:
        raise InvalidSearch(error.text, where=name) from error


def split(text: str, separator: str) -> list[str]:
    """Split at a separator that no backslash escapes; escapes stay in the parts."""
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    """Remove the backslashes that escape `,`, `|`, `$` and a backslash."""
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text
