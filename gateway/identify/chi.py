"""What a Community Health Index number is: the one function that knows.

Rules: Public Health Scotland's published checks (reference facts in the README's glossary).
The number is expected to change one day; then only this module does.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

_WEIGHTS = range(10, 1, -1)
_SEPARATORS = re.compile(r"[\s\u00a0-]+")

# Every URI under which a CHI number has been seen; the configured one is what we emit.
ALIASES = frozenset(
    {
        "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53",
        "2.16.840.1.113883.2.1.3.2.4.16.53",
        "https://phfapi.digitalhealthplatform.net/fhir/chinumber",
        "http://fhir.nhs.scot.uk/Id/national/chi-number",
        "http://www.nhs.uk/Id/scottish-chi-number",
        "https://fhir.hl7.org.uk/Id/chi-number",
    }
)


class Verdict(StrEnum):
    """Why a text is, or is not, a CHI number."""

    VALID = "valid"
    MISSING = "missing"
    TOO_SHORT = "too few characters"
    TOO_LONG = "too many characters"
    INVALID_CHARACTER = "invalid character"
    INVALID_DATE = "invalid date"
    INVALID_CHECKSUM = "invalid checksum"
    PLACEHOLDER = "placeholder"


def normalise(text: str) -> str:
    """Remove the spaces and hyphens people write inside the number."""
    return _SEPARATORS.sub("", text)


def check(text: str, placeholders: tuple[str, ...] = (), *, undated: bool = False) -> Verdict:
    """Say whether `text` is a CHI number: ten digits, a date, a modulus-11 check digit.

    With `undated`, numbers of the coming kind, which start with no date, are CHI numbers too.
    """
    number = normalise(text)
    if not number:
        return Verdict.MISSING
    if not number.isascii() or not number.isdigit():
        return Verdict.INVALID_CHARACTER
    if len(number) != 10:
        return Verdict.TOO_SHORT if len(number) < 10 else Verdict.TOO_LONG
    verdict = check_dated(number)
    if verdict is Verdict.INVALID_DATE and undated:
        verdict = check_undated(number)
    return Verdict.PLACEHOLDER if number in placeholders else verdict


def check_dated(number: str) -> Verdict:
    """Judge ten digits as a number of today: day, month, year, three digits, check digit."""
    if not _is_date(number[:6]):
        return Verdict.INVALID_DATE
    return Verdict.VALID if checksum_agrees(number) else Verdict.INVALID_CHECKSUM


def check_undated(number: str) -> Verdict:
    """Judge ten digits as a number without a date.

    No rule is published yet: the same check digit, and no range of another issuer (numbers of
    England and Wales start with 4, 6 or 7, of Northern Ireland with 32 to 39, test numbers with
    9). When a rule is published, it goes here.
    """
    if number[0] in "4679" or "3200000000" <= number <= "3999999999":
        return Verdict.INVALID_DATE
    return Verdict.VALID if checksum_agrees(number) else Verdict.INVALID_CHECKSUM


def pad(text: str) -> str:
    """Restore the leading zero that a spreadsheet dropped; only for CSV and spreadsheet feeds."""
    number = normalise(text)
    return "0" + number if len(number) == 9 and number.isascii() and number.isdigit() else number


def sex_digit_is_male(number: str) -> bool:
    """Read the ninth digit: odd is male at registration. A warning at most, never a decision."""
    return int(normalise(number)[8]) % 2 == 1


def _is_date(digits: str) -> bool:
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    return any(_exists(century + year, month, day) for century in (1900, 2000))


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def checksum_agrees(number: str) -> bool:
    """Whether the tenth digit is the modulus-11 check of the nine before it."""
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    expected = (11 - total % 11) % 11  # 10 is no digit: such a number was never issued
    return expected == int(number[9])
