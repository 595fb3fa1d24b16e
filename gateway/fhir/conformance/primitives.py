"""The lexical form of FHIR primitives in JSON (R4 datatypes 2.24.0.1, json 2.6.2).

Stricter than fhir.resources on purpose: exact JSON types (no `"5"` for 5), no blank text, no
control characters, an id of at most 64 characters, base64 without white space.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any

Test = Callable[[Any], bool]

_BASE64 = (string.ascii_letters + string.digits + "+/").encode("ascii")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CODE = re.compile(r"[^\s\x00-\x1f]+(?: [^\s\x00-\x1f]+)*").fullmatch
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_URI = re.compile(r"[^\s\x00-\x1f]+").fullmatch
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_YEAR = r"(?!0000)[0-9]{4}"
_DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|-{_DAY})?", re.ASCII).fullmatch
_INSTANT = re.compile(rf"{_YEAR}-{_DAY}T{_CLOCK}{_ZONE}", re.ASCII).fullmatch
_TIME = re.compile(_CLOCK, re.ASCII).fullmatch
_DIV = '<div xmlns="http://www.w3.org/1999/xhtml"'
_WHOLE_DATE = 10
_INTEGER_LIMIT = 2**31


def _string(value: Any) -> bool:
    return (
        isinstance(value, str)
        and bool(value)
        and not value.isspace()
        and (value.isprintable() or not _CONTROL.search(value))
    )


def _of(match: Callable[[str], object]) -> Test:
    return lambda value: isinstance(value, str) and match(value) is not None


def _date(value: Any) -> bool:
    return isinstance(value, str) and _DATE(value) is not None and _exists(value)


def _date_time(value: Any) -> bool:
    return _instant(value) if isinstance(value, str) and "T" in value else _date(value)


def _instant(value: Any) -> bool:
    return isinstance(value, str) and _INSTANT(value) is not None and _exists(value)


def _exists(value: str) -> bool:
    if len(value) < _WHOLE_DATE:
        return True
    try:
        date.fromisoformat(value[:_WHOLE_DATE])
    except ValueError:
        return False
    return True


def _decimal(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _integer(least: int) -> Test:
    def test(value: Any) -> bool:
        return type(value) is int and least <= value < _INTEGER_LIMIT

    return test


def _base64(value: Any) -> bool:
    if not isinstance(value, str) or not value or len(value) % 4 or not value.isascii():
        return False
    # Not decoded, for that takes ten times as long: nothing but its letters, and what fills up.
    plain = value[:-2] + value[-2:].rstrip("=")
    return not plain.encode("ascii").translate(None, _BASE64)


def _xhtml(value: Any) -> bool:
    return _string(value) and value.startswith(_DIV) and value.endswith("</div>")


TESTS: Mapping[str, tuple[str, Test]] = {
    "bool": ("boolean", lambda value: isinstance(value, bool)),
    "String": ("string", _string),
    "Markdown": ("markdown", _string),
    "Code": ("code", _of(_CODE)),
    "Id": ("id", _of(_ID)),
    "Uri": ("uri", _of(_URI)),
    "Url": ("url", _of(_URI)),
    "Canonical": ("canonical", _of(_URI)),
    "Oid": ("oid", _of(_OID)),
    "UuidVersion": ("uuid", _of(_UUID)),
    "Xhtml": ("xhtml", _xhtml),
    "Date": ("date", _date),
    "DateTime": ("dateTime", _date_time),
    "Instant": ("instant", _instant),
    "Time": ("time", _of(_TIME)),
    "Decimal": ("decimal", _decimal),
    "Integer": ("integer", _integer(-_INTEGER_LIMIT)),
    "UnsignedInt": ("unsignedInt", _integer(0)),
    "PositiveInt": ("positiveInt", _integer(1)),
    "Base64Binary": ("base64Binary", _base64),
}
"""Name of the type in the fhir.resources metadata to its FHIR name and its test."""
