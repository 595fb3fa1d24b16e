"""Which patient a report is about: the rules, on one page, for a clinical safety officer.

1. An identifier counts when its issuer is trusted: a CHI, NHS or Health & Care number that is
   valid for its own issuer's rules. A number typed as CHI that is not one holds the report.
2. All counting identifiers must lead to one patient of the index. None: held. Two: held.
3. The birth date and the name must both agree with the index. Sex never decides.
4. Similarity never files; whatever is not certain waits for a person (safety.md, identity).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import Hold, IdentityHold
from gateway.identify import chi
from gateway.report import Identifier, Patient, PersonName

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
HSC_NUMBER = "https://fhir.nhs.uk/Id/hsc-number"


@dataclass(frozen=True, slots=True)
class Issuers:
    """The configured system of CHI numbers, and numbers that nobody has."""

    chi_system: str
    placeholders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A patient of the index, as far as matching needs it."""

    key: int
    name: PersonName
    birth_date: str


def trusted(identifiers: Iterable[Identifier], issuers: Issuers) -> tuple[Identifier, ...]:
    """Return the identifiers of trusted issuers, normalised, each with its system.

    Raises IdentityHold when a number said to be a CHI is not one, or when none is left.
    """
    found: dict[tuple[str, str], Identifier] = {}
    place = "PID-3"
    for one in identifiers:
        place = one.place or place
        number = chi.normalise(one.value)
        system = _system(one, number, issuers)
        if system:
            kept = Identifier(number, system, "NH", one.authority, one.place)
            found.setdefault((system, number), kept)
    if not found:
        raise IdentityHold(
            Hold.PATIENT_IDENTIFIER, "no valid CHI, NHS or Health & Care number", where=place
        )
    return tuple(found.values())


def _system(one: Identifier, number: str, issuers: Issuers) -> str:
    said_chi = "CHI" in (one.authority.upper(), one.type.upper()) or one.authority in chi.ALIASES
    verdict = chi.check(number, issuers.placeholders)
    if said_chi and verdict is not chi.Verdict.VALID:
        raise IdentityHold(Hold.PATIENT_IDENTIFIER, f"not a CHI number: {verdict}", where=one.place)
    if verdict is chi.Verdict.VALID:
        return issuers.chi_system
    if len(number) == 10 and number.isascii() and number.isdigit() and chi.checksum_agrees(number):
        if number[0] in "4679":
            return NHS_NUMBER
        if "3200000000" <= number <= "3999999999":
            return HSC_NUMBER
    return ""


def decide(asserted: Patient, candidates: Sequence[Known]) -> Known:
    """Return the one patient that the report is about; raises IdentityHold with the reason."""
    place = asserted.identifiers[0].place if asserted.identifiers else "PID-3"
    distinct = {known.key: known for known in candidates}
    if not distinct:
        raise IdentityHold(Hold.PATIENT_UNKNOWN, "the index has no such patient", where=place)
    if len(distinct) > 1:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the identifiers belong to different patients", where=place
        )
    known = next(iter(distinct.values()))
    if not asserted.birth_date or asserted.birth_date != known.birth_date:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the birth date does not agree with the index", where="PID-7"
        )
    if not names_agree(asserted.name, known.name):
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the name does not agree with the index", where="PID-5"
        )
    return known


def names_agree(one: PersonName, other: PersonName) -> bool:
    """Whether family and first given name are the same letters, case and accents aside."""
    families = letters(one.family), letters(other.family)
    givens = _first(one), _first(other)
    return all((*families, *givens)) and families[0] == families[1] and givens[0] == givens[1]


def letters(text: str) -> str:
    """Reduce a name to its letters: no accents, case, hyphens, apostrophes or spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if char.isalpha())


def _first(name: PersonName) -> str:
    words = " ".join(name.given).split()
    return letters(words[0]) if words else ""
