"""Whose an order is when the patient is unborn or new-born."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config import CHI_SYSTEM
from gateway.errors import Hold, IdentityHold
from gateway.identify.numbers import Issuers
from gateway.identify.referral import subject_of
from gateway.report import Identifier, Order, Patient, PersonName
from gateway.request import Request

ISSUERS = Issuers(CHI_SYSTEM)
MOTHER = Patient((Identifier("0101625707", type="NH", authority="CHI"),), PersonName("A", ("B",)))
BABY = Patient((Identifier("UNK-1", type="MR", place="PID-3"),), PersonName("Baby of A"))
OF_BABY = Request(Order(), BABY, mother=MOTHER)


def test_a_patient_with_a_number_is_the_patient_whoever_is_next_of_kin() -> None:
    asked = Request(Order(), MOTHER, mother=replace(MOTHER, identifiers=()))
    assert subject_of(asked, ISSUERS).name == MOTHER.name


def test_a_patient_without_a_number_is_never_filed_on_the_mother_by_accident() -> None:
    with pytest.raises(IdentityHold, match="fetus or a baby") as caught:
        subject_of(OF_BABY, ISSUERS)
    assert caught.value.reason is Hold.PATIENT_IDENTIFIER
    assert caught.value.where == "PID-3"


def test_an_order_that_says_fetus_of_is_the_mothers() -> None:
    found = subject_of(replace(OF_BABY, tested_subject="fetus"), ISSUERS)
    assert found.identifiers[0].value == "0101625707"
    assert found.name == MOTHER.name


def test_a_wrong_national_number_is_its_own_reason_and_never_leads_to_the_mother() -> None:
    wrong = replace(BABY, identifiers=(Identifier("0101625708", type="NH", authority="CHI"),))
    with pytest.raises(IdentityHold, match="not a CHI"):
        subject_of(replace(OF_BABY, patient=wrong, tested_subject="fetus"), ISSUERS)


def test_without_a_mother_there_is_nobody_else() -> None:
    with pytest.raises(IdentityHold, match="no valid CHI"):
        subject_of(replace(OF_BABY, mother=None), ISSUERS)
