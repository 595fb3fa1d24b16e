"""Whose order it is when the patient is unborn or new-born (safety.md 10).

1. The words `fetus of` make the order one of the mother: the patient of the message where it
   carries her number, else the next of kin that is named as the mother.
2. A patient without a national number whose mother is next of kin may be a fetus or a baby: held.
   It is never filed on the mother by accident.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import Hold, IdentityHold
from gateway.identify.match import Issuers, trusted
from gateway.report import Patient
from gateway.request import Request


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


def _counted(patient: Patient, issuers: Issuers) -> Patient:
    return replace(patient, identifiers=trusted(patient.identifiers, issuers))


def _numbered(patient: Patient) -> bool:
    """Whether the patient claims a national number, be it a wrong one."""
    return any("CHI" in (one.type.upper(), one.authority.upper()) for one in patient.identifiers)
