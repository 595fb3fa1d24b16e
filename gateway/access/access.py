"""What one caller may see: one `Access` value, given to every query.

It is scope ∩ compartment ∩ policy ∩ grants. `shape` decides the SQL, which is written once for
all callers of one shape; everything that differs from caller to caller is in `values`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gateway.access.caller import Caller
from gateway.errors import Forbidden

LABELS = ("U", "L", "M", "N", "R", "V")
"""Confidentiality (v3-Confidentiality), the least confidential first."""

NAMED_ONLY = frozenset({"AuditEvent"})
"""Types that no `*` means: a scope must name them, and so must what a client is allowed."""

OLD_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}
"""What the words of SMART v1 mean."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """The search condition of a scope: any of these `code` or `system|code`."""

    parameter: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource scope: `level/type.letters?constraints`; `old` when written as in SMART v1."""

    level: str
    type: str
    letters: str
    old: bool = False
    constraints: tuple[Constraint, ...] = ()

    def text(self) -> str:
        """Write the scope, as v1 where it was asked as v1 and v1 can say it."""
        words = {letters: word for word, letters in OLD_LETTERS.items()}
        letters = words.get(self.letters, self.letters) if self.old else self.letters
        query = "&".join(f"{one.parameter}={','.join(one.values)}" for one in self.constraints)
        return f"{self.level}/{self.type}.{letters}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Right:
    """What policy lets a caller see, whatever the scopes.

    Rows of these classes, labelled no more than `confidentiality`: of everybody, or of those to
    whom a party of the caller has a relationship of one of `meanings`, or by a grant.
    `restricted`: restricted rows too; `unsealed`: those too by a grant that says so.
    """

    record_classes: tuple[str, ...] = ("nhs",)
    confidentiality: str = LABELS[-1]
    everybody: bool = True
    meanings: tuple[str, ...] = ()
    restricted: bool = False
    unsealed: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it may see."""
        return LABELS[: LABELS.index(self.confidentiality) + 1]


@dataclass(frozen=True, slots=True)
class Rule:
    """What of a scope decides the SQL; `constraints` are parameter and number of values."""

    confined: bool
    type: str
    letters: str
    constraints: tuple[tuple[str, int], ...]

    @property
    def open(self) -> bool:
        """Whether it covers every row of its type."""
        return not self.confined and not self.constraints


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What of an Access decides the SQL; `parties` and `grantees` say how many there are.

    `shape_of` makes each just once, so that looking up its statement compares no contents.
    """

    rules: tuple[Rule, ...]
    rights: tuple[Right, ...]
    parties: int
    grantees: int

    def types(self, letter: str) -> frozenset[str] | None:
        """Return the types of which every row is in scope for `letter`; None: all types."""
        allowed = frozenset(one.type for one in self.rules if one.open and letter in one.letters)
        return None if "*" in allowed else allowed


@lru_cache(maxsize=4096)
def shape_of(
    rules: tuple[Rule, ...], rights: tuple[Right, ...], parties: int, grantees: int
) -> Shape:
    """Return the one Shape of these."""
    return Shape(rules, rights, parties, grantees)


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that decides what one caller may read; every query must be given one.

    `others` are granted scopes that are not about resources. `patient` is the FHIR id of the
    launch context. `parties` are boards, teams and organisations the caller stands for;
    `grantees` those whose grants count. `moment` (microseconds since 1970) is when: without one
    no relationship and no grant holds.
    """

    client: str
    scopes: tuple[Scope, ...]
    others: frozenset[str] = frozenset()
    rights: tuple[Right, ...] = (Right(),)
    patient: str = ""
    parties: tuple[str, ...] = ()
    grantees: tuple[str, ...] = ()
    caller: Caller = Caller("")
    moment: int = 0
    shape: Shape = field(init=False, repr=False, compare=False)
    values: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive once what every query asks for."""
        parties, grantees = _padded(self.parties), _padded(self.grantees)
        related = any(not one.everybody for one in self.rights)
        rules = tuple(_rule(scope) for scope in self.scopes)
        rights = tuple(dict.fromkeys(self.rights))
        shape = shape_of(rules, rights, related * len(parties), related * len(grantees))
        values: dict[str, Any] = dict(_constraint_values(self.scopes))
        if any(rule.confined for rule in rules):
            values["access_patient"] = self.patient
        if related:
            values |= {f"access_party{number}": one for number, one in enumerate(parties)}
            values |= {f"access_grantee{number}": one for number, one in enumerate(grantees)}
            values["access_at"] = self.moment
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "values", values)

    def at(self, now: int) -> Access:
        """Return the same at another moment; itself when nothing of it depends on time."""
        if "access_at" not in self.values:
            return self
        made = object.__new__(Access)  # each request takes this step: nothing is derived again
        for name in Access.__slots__:
            object.__setattr__(made, name, getattr(self, name))
        object.__setattr__(made, "moment", now)
        object.__setattr__(made, "values", {**self.values, "access_at": now})
        return made

    @property
    def restricted(self) -> bool:
        """Whether restricted links and rows are for this caller's eyes (safety.md 2)."""
        return any(right.restricted for right in self.rights)

    def allows(self, type_: str, letter: str) -> bool:
        """Whether the scopes allow interaction `letter` (c, r, u, d or s) on a type."""
        return any(letter in one.letters and one.type in meant_by(type_) for one in self.scopes)

    def require(self, type_: str, letter: str) -> None:
        """Raise Forbidden unless the scopes allow interaction `letter` on a type."""
        if not self.allows(type_, letter):
            level = "user" if self.caller.person else "system"
            raise Forbidden(f"needs the scope {level}/{type_}.{letter}")

    def require_scope(self, scope: str) -> None:
        """Raise Forbidden unless a scope that is not about resources was granted."""
        if scope not in self.others:
            raise Forbidden(f"needs the scope {scope}")


def meant_by(type_: str) -> tuple[str, ...]:
    """Return the types of a scope that mean this one."""
    return (type_,) if type_ in NAMED_ONLY else ("*", type_)


def _rule(scope: Scope) -> Rule:
    constraints = tuple((one.parameter, len(one.values)) for one in scope.constraints)
    return Rule(scope.level == "patient", scope.type, scope.letters, constraints)


def _constraint_values(scopes: tuple[Scope, ...]) -> Iterator[tuple[str, str]]:
    for rule, scope in enumerate(scopes):
        for place, one in enumerate(scope.constraints):
            for number, value in enumerate(one.values):
                system, bar, code = value.rpartition("|")
                # As a token is indexed: the code, then its system if one was named.
                yield f"access_{rule}_{place}_{number}", f"{code}\x1f{system}" if bar else code


def _padded(values: tuple[str, ...]) -> tuple[str, ...]:
    """Repeat the last one until there are 1, 2, 4, 8 …: few numbers make few statements."""
    wanted = 1 << (len(values) - 1).bit_length() if values else 0
    return values + values[-1:] * (wanted - len(values))
