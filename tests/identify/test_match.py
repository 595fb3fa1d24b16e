from dataclasses import replace

import pytest

from gateway.config import CHI_SYSTEM
from gateway.errors import Hold, IdentityHold
from gateway.identify.match import Known, decide
from gateway.identify.numbers import HSC_NUMBER, NHS_NUMBER, Issuers, trusted
from gateway.report import Identifier, Patient, PersonName
from gateway.value import PATIENT_NUMBERS

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
    assert decide(_asserted(), [KNOWN]).known is KNOWN
    assert decide(_asserted(sex="male"), [KNOWN]).known is KNOWN


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


@pytest.mark.parametrize("authority", ["RHSC", "rhsc"])
def test_a_number_of_a_configured_authority_counts_as_its_own(authority: str) -> None:
    issuers = Issuers(CHI_SYSTEM, authorities=("RHSC",))
    # It is a valid CHI by chance, and is none.
    (found,) = trusted([Identifier("0101625707", type="MR", authority=authority)], issuers)
    assert (found.system, found.type) == (PATIENT_NUMBERS + "RHSC", "MR")


@pytest.mark.parametrize(
    "identifier",
    [
        Identifier("0101625707", type="MR", authority="ELSEWHERE"),
        Identifier("0101625707", type="TEMP"),
        Identifier("0101625707", authority="TEMPORARY CHI"),
        Identifier("0101625707", authority="UHPI"),
    ],
)
def test_a_number_of_another_authority_or_a_temporary_one_is_no_chi(identifier: Identifier) -> None:
    with pytest.raises(IdentityHold) as caught:
        _ids(identifier)
    assert caught.value.reason is Hold.PATIENT_IDENTIFIER


def test_a_number_in_the_wrong_field_is_named_for_what_it_is() -> None:
    with pytest.raises(IdentityHold, match="an NHS number stands in its place"):
        _ids(Identifier("9449305552", authority="CHI"))


TWIN = Known(8, PersonName("Testpatient", ("Isla",)), "1962-01-01")


def test_a_name_that_agrees_in_part_needs_nobody_else_who_fits() -> None:
    asserted = _asserted(PersonName("Testpatient-Reid", ("Morag",)))
    assert decide(asserted, [KNOWN], lambda _: [KNOWN, TWIN]).known is KNOWN
    namesake = Known(9, PersonName("Testpatient", ("Morag", "Jane")), "1962-01-01")
    with pytest.raises(IdentityHold, match="somebody else") as caught:
        decide(asserted, [KNOWN], lambda _: [KNOWN, namesake])
    assert ("nobody else", "differ") in caught.value.evidence


def test_twins_named_alike_before_their_names_were_given_are_held() -> None:
    baby = PersonName("Reid", ("Baby", "of", "Morag"))
    twins = [Known(key, PersonName("Reid", (name,)), "2026-01-01", (baby,))
             for key, name in ((1, "Isla"), (2, "Eilidh"))]  # fmt: skip
    asserted = _asserted(baby, "2026-01-01")
    assert decide(asserted, twins[:1], lambda _: twins[:1]).known is twins[0]
    with pytest.raises(IdentityHold, match="somebody else"):
        decide(asserted, twins[:1], lambda _: twins)


def test_a_namesake_who_lives_at_the_postcode_holds() -> None:
    here = Known(7, MORAG, "1962-01-01", postcode="G1 1AA")
    there = Known(8, MORAG, "1962-01-01", postcode="EH1 1AA")
    asserted = replace(_asserted(), postcode="eh11aa")
    with pytest.raises(IdentityHold, match="postcode"):
        decide(asserted, [here], lambda _: [here, there])
    assert decide(asserted, [here], lambda _: [here]).known is here
    assert decide(_asserted(), [here], lambda _: [here, there]).known is here


def test_an_earlier_name_agrees_and_every_decision_says_why() -> None:
    married = Known(7, PersonName("Reid", ("Morag",)), "1962-01-01", (MORAG,), "female", "G1 1AA")
    found = decide(_asserted(sex="male"), [married])
    assert found.evidence == (
        ("number", "agree"), ("birth date", "agree"), ("name", "agree: the same letters"),
        ("sex", "differ"), ("postcode", "absent"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("birth_date", "said"),
    [
        ("", "missing"),
        ("1962", "not complete"),
        ("1962-01-02", "one digit differs"),
        ("1926-01-01", "two are exchanged"),
    ],
)
def test_a_hold_says_how_a_date_differs_without_the_date(birth_date: str, said: str) -> None:
    with pytest.raises(IdentityHold, match=said) as caught:
        decide(_asserted(birth_date=birth_date), [KNOWN])
    assert "1962" not in str(caught.value)


def test_exchanged_day_and_month_are_held_and_named() -> None:
    known = replace(KNOWN, birth_date="1962-03-04")
    with pytest.raises(IdentityHold, match="day and month are exchanged"):
        decide(_asserted(birth_date="1962-04-03"), [known])


def test_a_spelling_mistake_is_held_however_small() -> None:
    with pytest.raises(IdentityHold, match="the family name differs a little"):
        decide(_asserted(PersonName("Testpatint", ("Morag",))), [KNOWN])
