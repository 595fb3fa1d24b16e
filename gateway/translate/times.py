"""HL7 v2 times to FHIR: precision is kept, a date stays a date (safety.md 11)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue

_TIME = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6})\d*)?)?)?)?)?)?"
    r"([+-]\d{4})?"
)


def read_time(text: str, zone: ZoneInfo) -> tuple[str, bool]:
    """Read an HL7 time as FHIR `date` or `dateTime` text, and say whether it is ambiguous.

    Without an offset it is in `zone`; a local time that occurs twice in autumn is ambiguous and
    the first of the two is taken. An hour without minutes is kept as its date. Raises
    InvalidValue.
    """
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise InvalidValue("not a date or time (YYYYMMDDHHMMSS)")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        if not (hour and minute):
            return _date_text(year, month, day), False
        moment = datetime(  # noqa: DTZ001 - the zone is set below, once it is known
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0)
        )
    except ValueError as error:
        raise InvalidValue("no such date or time") from error
    return _moment_text(moment, fraction, offset, zone)


def read_date(text: str) -> str:
    """Read the date of an HL7 time as FHIR `date` text; raises InvalidValue."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise InvalidValue("not a date (YYYYMMDD)")
    try:
        return _date_text(*found.groups()[:3])
    except ValueError as error:
        raise InvalidValue("no such date") from error


def micros(text: str) -> int:
    """Return the first instant that FHIR `date` or `dateTime` text means, in microseconds."""
    if len(text) <= 10:
        year, month, day = (*text.split("-"), "1", "1")[:3]
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
    else:
        moment = datetime.fromisoformat(text)
    return int((moment - _EPOCH) / timedelta(microseconds=1))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _date_text(year: str, month: str | None, day: str | None) -> str:
    date(int(year), int(month or 1), int(day or 1))
    return "-".join(part for part in (year, month, day) if part)


def _moment_text(
    moment: datetime, fraction: str | None, offset: str | None, zone: ZoneInfo
) -> tuple[str, bool]:
    ambiguous = False
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        if minutes > 14 * 60 or int(offset[3:5]) > 59:
            raise InvalidValue("no such time zone offset")
        delta = timedelta(minutes=-minutes if offset[0] == "-" else minutes)
        aware = moment.replace(tzinfo=timezone(delta))
    else:
        aware = moment.replace(tzinfo=zone)
        ambiguous = aware.utcoffset() != aware.replace(fold=1).utcoffset()
    text = aware.isoformat()
    # FHIR's offset has no seconds, which zones had before they had whole minutes.
    return f"{text[:19]}{'.' + fraction if fraction else ''}{text[19:25]}", ambiguous
