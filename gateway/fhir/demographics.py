"""A FHIR R4 Patient to the `Patient` it describes: for feeds, matching and answers to lookups.

Only what identifies a person is read. An identifier keeps its system; whether it counts is
decided by `identify.numbers`, so a local one names its system as its authority.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidValue
from gateway.fhir.terms import HSC_NUMBER, NHS_NUMBER, Json
from gateway.report import Identifier, Patient, PersonName
from gateway.value import PATIENT_NUMBERS

_GENDERS = ("male", "female", "other", "unknown")


def read_patient(content: Json) -> Patient:
    """Read a Patient; raises InvalidValue with its place when an element is of another kind."""
    if content.get("resourceType") != "Patient":
        raise InvalidValue("a Patient is needed", where="Patient")
    names = [name for one in _objects(content, "name") if (name := _name(one))]
    gender = _text(content, "gender")
    if gender not in ("", *_GENDERS):
        raise InvalidValue("not a gender of FHIR", where="Patient.gender")
    addresses = _objects(content, "address")
    return Patient(
        identifiers=tuple(
            _identifier(one) for one in _objects(content, "identifier") if _text(one, "value")
        ),
        name=names[0] if names else PersonName(),
        other_names=tuple(names[1:]),
        birth_date=_text(content, "birthDate"),
        sex=gender,
        postcode=_text(addresses[0], "postalCode") if addresses else "",
        deceased=_choice(content, "deceasedBoolean", "deceasedDateTime"),
        multiple_birth=_choice(content, "multipleBirthInteger", "multipleBirthBoolean"),
    )


def _identifier(one: Json) -> Identifier:
    system, value = _text(one, "system"), _text(one, "value")
    kind = "NH" if system in (NHS_NUMBER, HSC_NUMBER) else "MR"
    return Identifier(
        value, system, kind, system.removeprefix(PATIENT_NUMBERS), "Patient.identifier"
    )


def _name(one: Json) -> PersonName | None:
    given = one.get("given", [])
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise InvalidValue("needs a list of texts", where="Patient.name.given")
    family = _text(one, "family")
    return PersonName(family, tuple(given)) if family or given else None


def _choice(content: Json, *names: str) -> str:
    """Return the one of a choice that is there, as text: true, false, a number or a date."""
    for name in names:
        value = content.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str | int):
            return str(value)
    return ""


def _objects(content: Json, name: str) -> list[Json]:
    found: Any = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidValue("needs a list of objects", where=f"Patient.{name}")
    return found


def _text(content: Json, name: str) -> str:
    found = content.get(name, "")
    if not isinstance(found, str):
        raise InvalidValue("needs a text", where=f"Patient.{name}")
    return found.strip()
