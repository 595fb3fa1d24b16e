"""Which numbers of a patient count, and whose they are: issuer first, then value.

1. A number said to be a CHI must be one, else the report is held. Temporary and pseudo numbers
   never count as CHI, whatever they look like.
2. A number of a configured authority (a board's or hospital's own) is that authority's.
3. Any other local number with an authority that is not configured counts for nothing.
4. What is left is a CHI, NHS or Health & Care number when its value is valid as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.config import Settings
from gateway.errors import Hold, IdentityHold
from gateway.identify import chi
from gateway.report import Identifier
from gateway.value import PATIENT_NUMBERS

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
HSC_NUMBER = "https://fhir.nhs.uk/Id/hsc-number"
_LOCAL = frozenset({"MR", "PI", "PT", "PN", "RI", "U"})
_TEMPORARY = re.compile(r"(?i)\b(TEMP\w*|TMP|TCHI|PCHI|PSEUDO\w*|UHPI)\b")


@dataclass(frozen=True, slots=True)
class Issuers:
    """The configured system of CHI numbers, numbers that nobody has, and local authorities.

    `undated`: ten digits that start with no date are CHI numbers too.
    """

    chi_system: str
    placeholders: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    undated: bool = False
    _known: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the authorities by what senders write."""
        known = {one.strip().upper(): one.strip() for one in self.authorities}
        object.__setattr__(self, "_known", known)

    def authority(self, name: str) -> str:
        """Return the configured name of an authority, or nothing."""
        return self._known.get(name.strip().upper(), "")

    def verdict(self, text: str) -> chi.Verdict:
        """Say whether a text is a CHI number."""
        return chi.check(text, self.placeholders, undated=self.undated)


def issuers_of(settings: Settings) -> Issuers:
    """Return whose numbers count by the settings."""
    return Issuers(
        settings.chi_system, settings.chi_placeholders, settings.patient_authorities,
        settings.chi_undated,
    )  # fmt: skip


def trusted(identifiers: Iterable[Identifier], issuers: Issuers) -> tuple[Identifier, ...]:
    """Return the identifiers of trusted issuers, normalised, each with its system.

    Raises IdentityHold when a number said to be a CHI is not one, or when none is left.
    """
    found: dict[tuple[str, str], Identifier] = {}
    place = "PID-3"
    for one in identifiers:
        place = one.place or place
        number = chi.normalise(one.value)
        system, kind = _issued(one, number, issuers)
        if system:
            kept = Identifier(number, system, kind, one.authority, one.place)
            found.setdefault((system, number), kept)
    if not found:
        raise IdentityHold(
            Hold.PATIENT_IDENTIFIER, "no valid CHI, NHS or Health & Care number", where=place,
            evidence=(("number", "absent"),),
        )  # fmt: skip
    return tuple(found.values())


def national(one: Identifier) -> bool:
    """Whether a counting identifier is a number that one person has in a whole country."""
    return not one.system.startswith(PATIENT_NUMBERS)


def _issued(one: Identifier, number: str, issuers: Issuers) -> tuple[str, str]:
    """Return the system and type of a number; both empty when it does not count."""
    kind, name = one.type.strip().upper(), one.authority.strip()
    authority = issuers.authority(name)
    if authority and kind not in ("NH", "NI", "CHI", "NHS"):
        return (PATIENT_NUMBERS + authority, "MR") if number else ("", "")
    if _TEMPORARY.search(f"{kind} {name}"):
        return "", ""
    said_chi = "CHI" in (name.upper(), kind) or name in chi.ALIASES or one.system in chi.ALIASES
    verdict = issuers.verdict(number)
    if said_chi and verdict is not chi.Verdict.VALID:
        raise IdentityHold(
            Hold.PATIENT_IDENTIFIER, f"not a CHI number: {_why(number, verdict)}",
            where=one.place, evidence=(("number", str(verdict)),),
        )  # fmt: skip
    if kind in _LOCAL and name and not said_chi:
        return "", ""
    system = issuers.chi_system if verdict is chi.Verdict.VALID else _elsewhere(number)
    return system, "NH" if system else ""


def _why(number: str, verdict: chi.Verdict) -> str:
    if _elsewhere(number) == NHS_NUMBER:
        return "an NHS number stands in its place"
    return "a Health & Care number stands in its place" if _elsewhere(number) else str(verdict)


def _elsewhere(number: str) -> str:
    """The system of a number of England and Wales, or Northern Ireland, by range and check."""
    if len(number) == 10 and number.isascii() and number.isdigit() and chi.checksum_agrees(number):
        if number[0] in "4679":
            return NHS_NUMBER
        if "3200000000" <= number <= "3999999999":
            return HSC_NUMBER
    return ""
