import pytest

from gateway.identify.chi import Verdict, check, normalise, pad, sex_digit_is_male

MALE = (
    "0101011237", "0101405073", "1904851231", "2902201230", "0101751117", "2902001118",
    "3112991117", "1506241115", "0707411114",
)  # fmt: skip
FEMALE = (
    "0101011237", "0101405073", "1904851231", "2902201230", "0101751117", "2902001118",
    "3112991117", "1506241115", "0707411114",
)  # fmt: skip


@pytest.mark.parametrize("number", MALE + FEMALE)
def test_issued_shapes_are_valid(number: str) -> None:
    assert check(number) is Verdict.VALID
    assert sex_digit_is_male(number) is (number in MALE)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("1904851232", Verdict.INVALID_CHECKSUM),
        ("0101201234", Verdict.INVALID_CHECKSUM),
        ("0805860000", Verdict.INVALID_CHECKSUM),
        ("0101000000", Verdict.INVALID_CHECKSUM),
        ("2902191230", Verdict.INVALID_DATE),
        ("3201201234", Verdict.INVALID_DATE),
        ("0113201234", Verdict.INVALID_DATE),
        ("0000000000", Verdict.INVALID_DATE),
        ("123456789", Verdict.TOO_SHORT),
        ("19048512311", Verdict.TOO_LONG),
        ("010120123?", Verdict.INVALID_CHARACTER),
        ("٠١٠١٠١١٢٣٧", Verdict.INVALID_CHARACTER),
        ("", Verdict.MISSING),
        ("   ", Verdict.MISSING),
    ],
)
def test_what_is_wrong_is_named(number: str, verdict: Verdict) -> None:
    assert check(number) is verdict


def test_a_placeholder_passes_every_rule_and_is_denied_by_list() -> None:
    assert check("1111111111") is Verdict.VALID
    assert check("1111111111", ("1111111111",)) is Verdict.PLACEHOLDER


@pytest.mark.parametrize(
    "written", ["010 101 1237", "0101 011237", "010101-1237", "010\u00a01011237"]
)
def test_spaces_and_hyphens_inside_the_number_are_ignored(written: str) -> None:
    assert check(written) is Verdict.VALID
    assert normalise(written) == "0101011237"


def test_a_spreadsheet_that_lost_the_zero_is_repaired_only_at_nine_digits() -> None:
    assert check(pad("101011237")) is Verdict.VALID
    assert pad("123456789") == "0123456789"
    assert check(pad("123456789")) is Verdict.INVALID_DATE
    assert pad("01011237") == "01011237"


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("0001234560", "valid"),
        ("0001234561", "invalid checksum"),
        ("9449305552", "invalid date"),
        ("3200000007", "invalid date"),
        ("0101625707", "valid"),
        ("0101625708", "invalid checksum"),
    ],
)
def test_a_number_without_a_date_counts_once_it_is_switched_on(number: str, verdict: str) -> None:
    assert str(check(number, undated=True)) == verdict
    if number.startswith("0001"):
        assert str(check(number)) == "invalid date"
