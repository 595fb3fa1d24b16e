"""What a search parameter is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The search parameter types of FHIR that we compile."""

    TOKEN = "token"  # noqa: S105 - a kind of parameter, no password
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"
    QUANTITY = "quantity"
    URI = "uri"
    COMPOSITE = "composite"


class Place(StrEnum):
    """Where a token is stored: on its own, or as the code or the value of a pair."""

    ALONE = "alone"
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type.

    `number` is stored in the index rows: it is never changed and never used again. `paths` are
    plain element paths from the resource; a choice element has one path per type we store.
    `targets` are the types a reference may point to. `patient` marks the reference that says
    whose record it is: it compiles to the patient of the row, so that it follows merges.
    `system` is what a bare code means. `needs_system` refuses a token without a system.
    `contact` reads ContactPoints, of one system unless it is empty. A paired value names the
    parameter of its `code`.
    A composite has two `parts`; a combination is met by `either` of several parameters. Neither
    has index rows of its own.
    """

    number: int
    type: str
    name: str
    kind: Kind
    paths: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    patient: bool = False
    system: str = ""
    needs_system: bool = False
    contact: str | None = None
    place: Place = Place.ALONE
    code: str = ""
    parts: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
