"""What a search asks, understood: conditions, includes, order, page.

A condition has a *shape*, which decides the SQL, and the *values* of that SQL, in the order in
which `conditions` names them; a list among the values travels as one array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.store.search.extraction import Code, token_hashes
from gateway.store.search.kinds import Kind, Place

Expansion = Callable[[str], Iterable[tuple[str, str]] | None]
"""A value set's URL in, its (system, code) out; None for one that we do not hold."""


def _nothing_held(url: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a search depends on besides its parameters.

    `aliases` maps any identifier system to the one that is stored; `secret` signs cursors;
    `expand` finds the codes of a value set.
    """

    base: str
    secret: bytes = field(repr=False)
    aliases: Mapping[str, str] = field(default_factory=dict)
    page_size: int = 50
    page_size_max: int = 500
    expand: Expansion = _nothing_held


class Shape(NamedTuple):
    """A condition without its values."""

    kind: type[Any]
    fixed: tuple[Any, ...] = ()
    inner: tuple[Any, ...] = ()


def _token_values(literal: str) -> tuple[Any, ...]:
    return (*token_hashes(literal), literal) if literal else ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """Any of these token literals."""

    literals: tuple[str, ...]

    def shape(self) -> Shape:
        """One token leads a search; several are one list, however many they are."""
        return Shape(Tokens, (len(self.literals) == 1,))

    def values(self) -> tuple[Any, ...]:
        """Two places and the literal, or the lists of both."""
        if len(self.literals) == 1:
            return _token_values(self.literals[0])
        return ([place for text in self.literals for place in token_hashes(text)], [*self.literals])


@dataclass(frozen=True, slots=True)
class Coded:
    """Any token of the parameter at all, or one whose literal ends with this system."""

    number: int
    place: Place
    system: str | None = None

    def shape(self) -> Shape:
        """The length of the beginning is fixed with the number."""
        return Shape(Coded, (f"{self.number}\x1f", self.place, self.system is not None))

    def values(self) -> tuple[Any, ...]:
        """The ending of the literal."""
        return () if self.system is None else (f"\x1f{self.system}",)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Any of these (code, value); an empty one of the two can be anything."""

    pairs: tuple[tuple[Code, Code], ...]

    def shape(self) -> Shape:
        """Which literals are there."""
        return Shape(Pairs, tuple(_given(*pair) for pair in self.pairs))

    def values(self) -> tuple[Any, ...]:
        """Two places and the literal of each that is there."""
        texts = (text for pair in self.pairs for code in pair for text in code)
        return tuple(value for text in texts for value in _token_values(text))


def _given(*codes: Code) -> tuple[bool, ...]:
    return tuple(bool(text) for code in codes for text in code)


class Amounts(NamedTuple):
    """A quantity asked for: numbers from `low` to below `high`, compared as the prefix says."""

    prefix: str
    low: float
    high: float
    unit: Code
    code: Code


@dataclass(frozen=True, slots=True)
class Quantities:
    """Any of these amounts."""

    number: int
    amounts: tuple[Amounts, ...]

    def shape(self) -> Shape:
        """Prefixes, and which literals are there."""
        each = ((a.prefix, *_given(a.unit, a.code)) for a in self.amounts)
        return Shape(Quantities, (self.number, *each))

    def values(self) -> tuple[Any, ...]:
        """Of each amount, its bounds and its literals."""
        return tuple(
            value
            for a in self.amounts
            for value in (
                *(a.low, a.high),
                *(v for text in (*a.unit, *a.code) for v in _token_values(text)),
            )
        )


@dataclass(frozen=True, slots=True)
class Strings:
    """Any of these texts, folded, and the hash of each; mode: starts, contains or exact."""

    number: int
    mode: str
    texts: tuple[tuple[str, int], ...]

    def shape(self) -> Shape:
        """How they are compared, and how many there are."""
        return Shape(Strings, (self.number, self.mode, len(self.texts)))

    def values(self) -> tuple[Any, ...]:
        """Of each text what its mode needs."""
        return tuple(value for text, exact in self.texts for value in self._of(text, exact))

    def _of(self, text: str, exact: int) -> tuple[Any, ...]:
        if self.mode == "starts":
            return text, text + "\U0010ffff"
        return (text, exact) if self.mode == "exact" else (text,)


@dataclass(frozen=True, slots=True)
class References:
    """A reference of this parameter to any of these (types, id)."""

    number: int
    targets: tuple[tuple[tuple[str, ...], str], ...]

    def shape(self) -> Shape:
        """The types of each target."""
        return Shape(References, (self.number, tuple(types for types, _ in self.targets)))

    def values(self) -> tuple[Any, ...]:
        """The ids."""
        return tuple(id_ for _, id_ in self.targets)


@dataclass(frozen=True, slots=True)
class PatientIds:
    """The record of any of the patients with these Patient ids, or of who they were merged into."""

    ids: tuple[str, ...]

    def shape(self) -> Shape:
        """How many there are."""
        return Shape(PatientIds, (len(self.ids),))

    def values(self) -> tuple[Any, ...]:
        """The ids."""
        return self.ids


@dataclass(frozen=True, slots=True)
class PatientIdentifiers:
    """The record of any of the patients with these (system, value) identifiers."""

    pairs: tuple[tuple[str, str], ...]

    def shape(self) -> Shape:
        """How many there are."""
        return Shape(PatientIdentifiers, (len(self.pairs),))

    def values(self) -> tuple[Any, ...]:
        """System and value of each."""
        return tuple(value for pair in self.pairs for value in pair)


@dataclass(frozen=True, slots=True)
class Dates:
    """Any of these (prefix, low, high); number 0 is _lastUpdated."""

    number: int
    ranges: tuple[tuple[str, int, int], ...]

    def shape(self) -> Shape:
        """The prefixes."""
        return Shape(Dates, (self.number, tuple(prefix for prefix, _, _ in self.ranges)))

    def values(self) -> tuple[Any, ...]:
        """The bounds of each."""
        return tuple(value for _, low, high in self.ranges for value in (low, high))


@dataclass(frozen=True, slots=True)
class Ids:
    """Any of these resource ids."""

    ids: tuple[str, ...]

    def shape(self) -> Shape:
        """How many there are."""
        return Shape(Ids, (len(self.ids),))

    def values(self) -> tuple[Any, ...]:
        """The ids."""
        return self.ids


@dataclass(frozen=True, slots=True)
class Present:
    """The parameter has any value in the index of its kind."""

    number: int
    kind: Kind

    def shape(self) -> Shape:
        """All of it."""
        return Shape(Present, (self.number, self.kind))

    def values(self) -> tuple[Any, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Hop:
    """From a row over a reference parameter to rows of `types`, or backwards from them.

    `patient` goes by the record that the row belongs to, so that it follows merges.
    """

    number: int
    types: tuple[str, ...]
    patient: bool
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Linked:
    """A readable row at the other end of the hop meets the condition."""

    hop: Hop
    condition: Condition

    def shape(self) -> Shape:
        """The hop and what is asked at its end."""
        return Shape(Linked, (self.hop,), (self.condition.shape(),))

    def values(self) -> tuple[Any, ...]:
        """Those of the condition."""
        return self.condition.values()


@dataclass(frozen=True, slots=True)
class Either:
    """Any of these conditions."""

    conditions: tuple[Condition, ...]

    def shape(self) -> Shape:
        """Those of the conditions."""
        return Shape(Either, (), tuple(one.shape() for one in self.conditions))

    def values(self) -> tuple[Any, ...]:
        """Those of the conditions."""
        return tuple(value for one in self.conditions for value in one.values())


@dataclass(frozen=True, slots=True)
class Not:
    """The condition is not met."""

    condition: Condition

    def shape(self) -> Shape:
        """That of the condition."""
        return Shape(Not, (), (self.condition.shape(),))

    def values(self) -> tuple[Any, ...]:
        """Those of the condition."""
        return self.condition.values()


Condition = (
    Tokens | Coded | Pairs | Quantities | Strings | References | PatientIds | PatientIdentifiers
    | Dates | Ids | Present | Linked | Either | Not
)  # fmt: skip


def other_types(condition: Condition) -> Iterator[tuple[str, ...]]:
    """Yield the types, one of which a caller must be able to search, of every hop."""
    match condition:
        case PatientIdentifiers():
            yield ("Patient",)
        case Linked(hop, inner):
            yield hop.types
            yield from other_types(inner)
        case Either(several):
            for one in several:
                yield from other_types(one)
        case Not(inner):
            yield from other_types(inner)


class Sort(NamedTuple):
    """One key of the order: a parameter, _lastUpdated or _id (kind None)."""

    name: str
    number: int
    kind: Kind | None
    descending: bool


class Include(NamedTuple):
    """Follow this reference parameter of `source`, or find who refers by it.

    `type` keeps only targets of that type; `iterate` goes on from what was included.
    """

    number: int
    source: str
    type: str = ""
    backwards: bool = False
    iterate: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One search, understood; `pairs` are the parameters applied, `ignored` the names not.

    `sort` is empty for newest filed first; `summary` and `elements` are for who writes the page;
    `total` is none, estimate or accurate.
    """

    type: str
    rules: Rules
    conditions: tuple[Condition, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 50
    count_only: bool = False
    total: str = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    cursor: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    compartment: tuple[str, str] | None = None
