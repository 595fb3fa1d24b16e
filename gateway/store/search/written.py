"""How search values are written: escapes, dates with prefixes, quantities (R4 search.html)."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from gateway.errors import InvalidSearch, InvalidValue
from gateway.store.dates import interval
from gateway.store.search.asked import Amounts
from gateway.store.search.extraction import Code, unit_code

PREFIXES = ("eq", "ne", "lt", "gt", "le", "ge", "sa", "eb", "ap")
_PREFIX = re.compile(r"([a-z]{2})?(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)


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


def _prefixed(name: str, text: str) -> tuple[str, str]:
    found = _PREFIX.fullmatch(text)
    prefix, rest = (found[1] or "eq", found[2]) if found else ("eq", text)
    if prefix not in PREFIXES:
        raise InvalidSearch("this prefix is not supported", where=name)
    return prefix, rest


def date_range(name: str, text: str) -> tuple[str, int, int]:
    """Read a date with its prefix; raises InvalidSearch.

    `ap` means the period before, the period itself and the one after, as long as it is.
    """
    prefix, date = _prefixed(name, text)
    try:
        # A plus sign that was not encoded arrives as a space.
        low, high = interval(date.replace(" ", "+"))
    except InvalidValue as error:
        raise InvalidSearch(error.text, where=name) from error
    around = high - low if prefix == "ap" else 0
    return prefix, low - around, high + around


def amounts(name: str, text: str) -> list[Amounts]:
    """Read `prefix number|system|code`; raises InvalidSearch.

    `eq` and `ne` mean every number that is written so at this precision, `ap` within a tenth;
    the other prefixes mean just this number.
    """
    parts = [unescape(part) for part in split(text, "|")]
    prefix, written = _prefixed(name, parts[0].replace(" ", "+"))
    if not _NUMBER.fullmatch(written) or len(parts) not in (1, 3):
        raise InvalidSearch("must be a number, or number|system|code", where=name)
    number = Decimal(written)
    around = Decimal(0)
    if prefix in ("eq", "ne"):
        around = Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
    elif prefix == "ap":
        around = abs(number) / 10
    low, high = float(number - around), float(number + around)
    if not math.isfinite(low) or not math.isfinite(high):
        raise InvalidSearch("must be a number, or number|system|code", where=name)
    unit = Code()
    if len(parts) == 3 and parts[2]:
        unit = unit_code(parts[2], parts[1] or None)
    return [Amounts(prefix, low, high, unit, Code())]
