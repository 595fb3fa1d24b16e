"""FHIR dates as intervals of instants: first microsecond meant, first no longer meant.

A date without a time zone is a local date of the country that is served; search and index use
the same zone, so such dates compare exactly whatever the zone is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue

FIRST, LAST = -(2**62), 2**62
LOCAL_ZONE = "Europe/London"

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def interval(text: str) -> tuple[int, int]:
    """Return the half-open interval that a FHIR date, dateTime or instant means.

    Raises InvalidValue without the text.
    """
    found = _DATE.fullmatch(text)
    if not found:
        raise InvalidValue("not a FHIR date")
    try:
        return _interval(found)
    except (ValueError, OverflowError) as error:
        raise InvalidValue("not a date of the calendar") from error


def _interval(found: re.Match[str]) -> tuple[int, int]:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    tz = _zone(zone)
    if hour is None:
        low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=tz)
        if low.year == 9999:  # written for "no end": nothing comes after it
            return _micros(low), LAST
        return _micros(low), _micros(_after(low, month is not None, day is not None))
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    low = datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros, tz
    )
    return _micros(low), _micros(low) + _width(second, fraction)


def _width(second: str | None, fraction: str | None) -> int:
    if fraction:
        return int(10 ** max(0, 6 - len(fraction)))
    return 1_000_000 if second else 60_000_000


def _after(low: datetime, has_month: bool, has_day: bool) -> datetime:
    if has_day:
        # The wall-clock date that follows: a day is 23 or 25 hours long twice a year.
        return low + timedelta(days=1)
    if not has_month or low.month == 12:
        return low.replace(year=low.year + 1, month=1)
    return low.replace(month=low.month + 1)


@lru_cache(maxsize=64)
def _zone(text: str | None) -> tzinfo:
    if text is None:
        return ZoneInfo(LOCAL_ZONE)
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[4:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def instant_text(micros: int) -> str:
    """Write an instant as FHIR does, to the millisecond."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
