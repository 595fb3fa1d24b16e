"""SMART scopes in, one `Access` value out: what a caller may see.

Scope grammar: SMART App Launch 2.2, "Scopes for requesting FHIR Resources". v1 `.read`,
`.write` and `.*` mean `rs`, `cud` and `cruds`. Letters must stand in the order `cruds`.
Scopes narrowed by a search query are not understood, so they grant nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Forbidden

SEND_HL7 = "gateway/hl7.send"
"""Allows pushing HL7 messages over HTTP; it reads nothing."""

ETHNICITY = "gateway/ethnicity.read"
"""Shows the ethnic category of the patients that other scopes allow to read."""

OTHER_SCOPES = frozenset({SEND_HL7, ETHNICITY})

_LETTERS = "cruds"
_SCOPE = re.compile(r"(system)/(\*|[A-Z][A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)")
_OLD = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource scope: `level/type.letters`; `old` when it was written as in SMART v1."""

    level: str
    type: str
    letters: str
    old: bool = False

    def text(self) -> str:
        """Write the scope, as v1 where it was asked as v1 and v1 can say it."""
        words = {letters: word for word, letters in _OLD.items()}
        letters = words.get(self.letters, self.letters) if self.old else self.letters
        return f"{self.level}/{self.type}.{letters}"


def parse_scope(text: str) -> Scope | None:
    """Read one SMART resource scope; None for anything else, an unknown letter included."""
    found = _SCOPE.fullmatch(text)
    if not found:
        return None
    old = found[3] in _OLD
    return Scope(found[1], found[2], _OLD.get(found[3], found[3]), old)


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an Access decides the SQL; everything else of it is a value of that SQL."""

    scopes: tuple[Scope, ...]
    record_classes: tuple[str, ...]
    confined: bool

    def types(self, letter: str) -> frozenset[str] | None:
        """Return the types on which `letter` is allowed; None when it is every type."""
        allowed = frozenset(scope.type for scope in self.scopes if letter in scope.letters)
        return None if "*" in allowed else allowed


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that decides what one caller may read; every query must be given one.

    `record_classes` and `patient_key` narrow further; `others` are granted scopes that are not
    about resources. The store compiles `shape` to SQL, once for all callers of one shape, and
    runs that with `values`.
    """

    client: str
    scopes: tuple[Scope, ...]
    record_classes: frozenset[str] = frozenset({"nhs"})
    patient_key: int | None = None
    others: frozenset[str] = frozenset()
    shape: Shape = field(init=False, repr=False, compare=False)
    values: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive once what every query asks for."""
        confined = self.patient_key is not None
        shape = Shape(self.scopes, tuple(sorted(self.record_classes)), confined)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "values", {"access_patient": self.patient_key} if confined else {})

    def allows(self, type_: str, letter: str) -> bool:
        """Whether the scopes allow interaction `letter` (c, r, u, d or s) on a type."""
        return any(letter in scope.letters and scope.type in ("*", type_) for scope in self.scopes)

    def require(self, type_: str, letter: str) -> None:
        """Raise Forbidden unless the scopes allow interaction `letter` on a type."""
        if not self.allows(type_, letter):
            raise Forbidden(f"needs the scope system/{type_}.{letter}")

    def require_scope(self, scope: str) -> None:
        """Raise Forbidden unless a scope that is not about resources was granted."""
        if scope not in self.others:
            raise Forbidden(f"needs the scope {scope}")


def access_for(client: str, scopes: Iterable[str]) -> Access:
    """Build the Access of a client from its granted scope texts."""
    given = tuple(scopes)
    parsed = (parse_scope(text) for text in given)
    others = frozenset(given) & OTHER_SCOPES
    return Access(client, tuple(scope for scope in parsed if scope), others=others)


def narrow(asked: str, allowance: str) -> str:
    """Return what is granted when `asked` is asked by one who may have `allowance`.

    By meaning, not by spelling: `system/*.rs` covers `system/Patient.r`, and asking for more
    than is allowed gives the part that is. Empty when nothing is left.
    """
    allowed = access_for("", allowance.split())
    granted: dict[str, None] = {}
    for text in asked.split():
        if text in allowed.others:
            granted[text] = None
        elif scope := parse_scope(text):
            granted.update(dict.fromkeys(part.text() for part in _parts(scope, allowed)))
    return " ".join(granted)


def _parts(asked: Scope, allowed: Access) -> Iterator[Scope]:
    types = [asked.type]
    if asked.type == "*":
        types += sorted({scope.type for scope in allowed.scopes} - {"*"})
    everywhere = ""
    for type_ in types:
        letters = "".join(x for x in _LETTERS if x in asked.letters and allowed.allows(type_, x))
        if letters and letters != everywhere:
            yield Scope(asked.level, type_, letters, asked.old)
        if type_ == "*":
            everywhere = letters
