from zoneinfo import ZoneInfo

import pytest

from gateway.errors import InvalidValue
from gateway.translate.times import micros, read_date, read_time

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2025", "2025"),
        ("202503", "2025-03"),
        ("20250312", "2025-03-12"),
        ("2025031209", "2025-03-12"),
        ("202503120900", "2025-03-12T09:00:00+00:00"),
        ("20250712090000", "2025-07-12T09:00:00+01:00"),
        ("20250312090000.125", "2025-03-12T09:00:00.125+00:00"),
        ("20250312090000-0500", "2025-03-12T09:00:00-05:00"),
        ("20240229", "2024-02-29"),
    ],
)
def test_a_time_keeps_its_precision_and_gets_its_zone(sent: str, expected: str) -> None:
    assert read_time(sent, LONDON) == (expected, False)


def test_the_doubled_hour_of_autumn_is_ambiguous_and_the_first_is_taken() -> None:
    assert read_time("20251026013000", LONDON) == ("2025-10-26T01:30:00+01:00", True)
    assert read_time("20251026013000+0000", LONDON) == ("2025-10-26T01:30:00+00:00", False)


@pytest.mark.parametrize(
    "sent",
    ["", "yesterday", "20251332", "20250230", "00000000", "2025-03-12", "20250312250000",
     "20250312090000+2500", "20250312090000+0099", "20230229"],
)  # fmt: skip
def test_what_is_no_time_is_refused(sent: str) -> None:
    with pytest.raises(InvalidValue):
        read_time(sent, LONDON)


def test_a_date_leaves_the_time_of_day_out() -> None:
    assert read_date("19620101") == "1962-01-01"
    assert read_date("196201010930") == "1962-01-01"
    with pytest.raises(InvalidValue):
        read_date("19621301")


def test_instants_are_microseconds_since_1970() -> None:
    assert micros("1970-01-01") == 0
    assert micros("1970") == 0
    assert micros("1970-01-02T01:00:00+01:00") == 86_400_000_000
    assert micros("1970-01-01T00:00:00.000001+00:00") == 1
