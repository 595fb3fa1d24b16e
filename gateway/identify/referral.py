"""Whose order it is when the patient is unborn or new-born (safety.md 10).

1. The words `fetus of` make the order one of the mother: the patient of the message where it
   carries her number, else the next of kin that is named as the mother.
2. A patient without a national number whose mother is next of kin may be a fetus or a baby: held.
   It is never filed on the mother by accident.
3. Cord blood is the baby's: a report on it whose patient was not just born is held, unless it
   says that a fetus was tested.
4. A test of a relative or a donor, done to read somebody else's result, is filed on nobody by
   itself: held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gateway.errors import Hold, IdentityHold
from gateway.identify.numbers import Issuers, trusted
from gateway.report import Patient, Report
from gateway.request import Request

_CORD_BLOOD = "122556008"
# How long after the birth its cord blood may be dated.
_DAYS = 2


def subject_of(request: Request, issuers: Issuers) -> Patient:
    """Return the patient of an order, with counting identifiers; raises IdentityHold."""
    try:
        return _counted(request.patient, issuers)
    except IdentityHold as error:
        if request.mother is None or _numbered(request.patient):
            raise
        if request.tested_subject == "fetus":
            return _counted(request.mother, issuers)
        raise IdentityHold(
            Hold.PATIENT_IDENTIFIER,
            "the patient has no national number and the mother is next of kin: a fetus or a baby?",
            where=error.where,
        ) from error


def subject_of_report(report: Report) -> Patient:
    """Return the patient that a report asserts; raises IdentityHold where it may be another's."""
    where = report.patient.identifiers[0].place if report.patient.identifiers else "PID-3"
    if report.tested_subject in ("relative", "donor"):
        text = f"a {report.tested_subject} was tested: whose result is it?"
        raise _in_doubt(text, where)
    cord = any(
        one.type.code == _CORD_BLOOD or "cord blood" in one.type.text.casefold()
        for one in report.specimens
    )
    if cord and report.tested_subject != "fetus" and not _just_born(report):
        text = "cord blood is the baby's, and this patient was not just born"
        raise _in_doubt(text, where)
    return report.patient


def _in_doubt(text: str, where: str) -> IdentityHold:
    evidence = (("tested subject", "differ"),)
    return IdentityHold(Hold.REPORT_PATIENT, text, where=where, evidence=evidence)


def _just_born(report: Report) -> bool:
    taken = [one.collected[:10] for one in report.specimens if len(one.collected) >= 10]
    born = report.patient.birth_date
    return bool(taken) and bool(born) and all(_days(born, day) <= _DAYS for day in taken)


def _days(born: str, taken: str) -> int:
    return abs((date.fromisoformat(taken) - date.fromisoformat(born)).days)


def _counted(patient: Patient, issuers: Issuers) -> Patient:
    return replace(patient, identifiers=trusted(patient.identifiers, issuers))


def _numbered(patient: Patient) -> bool:
    """Whether the patient claims a national number, be it a wrong one."""
    return any("CHI" in (one.type.upper(), one.authority.upper()) for one in patient.identifiers)
