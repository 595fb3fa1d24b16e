import pytest

from gateway.config import CHI_SYSTEM
from gateway.errors import Hold, IdentityHold
from gateway.identify.match import (
    HSC_NUMBER,
    NHS_NUMBER,
    Issuers,
    Known,
    decide,
    names_agree,
    trusted,
)
from gateway.report import Identifier, Patient, PersonName

ISSUERS = Issuers(CHI_SYSTEM, ("1111111111",))
MORAG = PersonName("Testpatient", ("Morag", "Ailsa"))


def _ids(*values: Identifier) -> list[tuple[str, str]]:
    return [(one.system, one.value) for one in trusted(values, ISSUERS)]


@pytest.mark.parametrize(
    "identifier",
    [
        Identifier("0101625707", authority="CHI", type="NH"),
        Identifier("010 162 5707", place="PID-2"),
        Identifier("0101625707", type="MR", place="PID-3"),
        Identifier("0101625707", type="NHS"),
    ],
)
def test_a_valid_chi_counts_however_it_is_labelled(identifier: Identifier) -> None:
    assert _ids(identifier) == [(CHI_SYSTEM, "0101625707")]


def test_english_and_northern_irish_numbers_count_in_their_own_ranges() -> None:
    assert _ids(Identifier("9449305552")) == [(NHS_NUMBER, "9449305552")]
    assert _ids(Identifier("3200000007")) == [(HSC_NUMBER, "3200000007")]


@pytest.mark.parametrize(
    "value", ["0101625708", "123456789", "010162570X", "1111111111", "3201625707"]
)
def test_a_number_said_to_be_a_chi_that_is_not_one_holds(value: str) -> None:
    with pytest.raises(IdentityHold) as caught:
        trusted([Identifier(value, authority="CHI", place="PID-3")], ISSUERS)
    assert caught.value.reason is Hold.PATIENT_IDENTIFIER
    assert caught.value.where == "PID-3"
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "identifiers", [(), (Identifier("X123", type="MR"),), (Identifier("1111111111"),)]
)
def test_without_a_trusted_identifier_the_report_holds(identifiers: tuple[Identifier, ...]) -> None:
    with pytest.raises(IdentityHold) as caught:
        trusted(identifiers, ISSUERS)
    assert caught.value.reason is Hold.PATIENT_IDENTIFIER


def _asserted(name: PersonName = MORAG, birth_date: str = "1962-01-01", sex: str = "") -> Patient:
    return Patient((Identifier("0101625707", CHI_SYSTEM, place="PID-3"),), name, birth_date, sex)


KNOWN = Known(7, PersonName("Testpatient", ("Morag",)), "1962-01-01")


def test_identifier_birth_date_and_name_agree_and_sex_never_decides() -> None:
    assert decide(_asserted(), [KNOWN]) is KNOWN
    assert decide(_asserted(sex="male"), [KNOWN]) is KNOWN


@pytest.mark.parametrize(
    ("asserted", "candidates", "reason", "where"),
    [
        (_asserted(), [], Hold.PATIENT_UNKNOWN, "PID-3"),
        (_asserted(), [KNOWN, Known(8, MORAG, "1962-01-01")], Hold.PATIENT_MISMATCH, "PID-3"),
        (_asserted(birth_date="1962-01-02"), [KNOWN], Hold.PATIENT_MISMATCH, "PID-7"),
        (_asserted(birth_date=""), [KNOWN], Hold.PATIENT_MISMATCH, "PID-7"),
        (_asserted(PersonName("Other", ("Morag",))), [KNOWN], Hold.PATIENT_MISMATCH, "PID-5"),
        (_asserted(PersonName("Testpatient", ("Isla",))), [KNOWN], Hold.PATIENT_MISMATCH, "PID-5"),
        (_asserted(PersonName("Testpatient")), [KNOWN], Hold.PATIENT_MISMATCH, "PID-5"),
        (
            _asserted(PersonName()),
            [Known(7, PersonName(), "1962-01-01")],
            Hold.PATIENT_MISMATCH,
            "PID-5",
        ),
    ],
)
def test_what_does_not_agree_is_held_with_its_place(
    asserted: Patient, candidates: list[Known], reason: Hold, where: str
) -> None:
    with pytest.raises(IdentityHold) as caught:
        decide(asserted, candidates)
    assert (caught.value.reason, caught.value.where) == (reason, where)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("O'Neil", "ONEIL", True),
        ("Màiri", "Mairi", True),
        ("Smith-Jones", "Smith Jones", True),
        ("McDonald", "MacDonald", False),
        ("Smith", "Smyth", False),
    ],
)
def test_names_agree_on_their_letters_alone(one: str, other: str, agree: bool) -> None:
    assert names_agree(PersonName(one, ("A",)), PersonName(other, ("A",))) is agree
