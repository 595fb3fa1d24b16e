"""The small values that meanings are made of: codes, identifiers, names and numbers, as sent.

`gateway.report` hands them on: import them from there.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal

PATIENT_NUMBERS = "urn:x-genomics-gateway:patient-number:"
"""System of the patient numbers of one local authority: this, and the authority's name."""

# Letters that do not fall apart into a plain letter and an accent.
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i",
     "ħ": "h"}
)  # fmt: skip


def letters(text: str) -> str:
    """Reduce a name to its letters: no accents, case, hyphens, apostrophes or spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return "".join(char for char in plain if char.isalpha())


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: the sender's own `text`, and a standard code when one is known."""

    text: str = ""
    code: str = ""
    system: str = ""
    display: str = ""
    also: tuple[Code, ...] = ()

    def __bool__(self) -> bool:
        """A Code counts as present when it says anything at all."""
        return bool(self.text or self.code)


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as sent: `authority` is the assigner named by the sender, if any."""

    value: str
    system: str = ""
    type: str = ""
    authority: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name as sent."""

    family: str = ""
    given: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number whose decimal places are kept, with a UCUM code when the unit has one."""

    value: Decimal
    unit: str = ""
    ucum: str = ""
    comparator: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Two inclusive ends in one unit; either may be open."""

    low: Decimal | None = None
    high: Decimal | None = None
    unit: str = ""
    ucum: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two numbers that belong together, such as a titre `1:128`."""

    numerator: Quantity
    denominator: Quantity
