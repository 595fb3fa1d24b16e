"""A Patient that a client writes: it reaches the patient index by rules, or not at all.

Everything over FHIR that changes who is known passes through `write_patient`. Only a client that
keeps the index may make a patient or change identifiers, name or birth date, and then by the
rules of any feed (`pipeline.patients`); any client that may update a Patient may correct sex,
postcode and death. What the index does not keep is refused, because the next message would drop
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from gateway.errors import Forbidden, Hold, IdentityHold, InvalidRequest, NotConformant
from gateway.fhir.demographics import read_patient
from gateway.identify.numbers import Issuers, trusted
from gateway.pipeline.patients import Feed, index, patient_version
from gateway.report import Patient, PatientUpdate
from gateway.store import patients
from gateway.store.database import Connection
from gateway.store.patients import Indexed
from gateway.store.resources import NewVersion

Json = Mapping[str, Any]

_KEPT = {
    "": ("resourceType", "id", "meta", "text", "active", "identifier", "name", "gender",
         "birthDate", "address", "deceasedBoolean", "deceasedDateTime", "multipleBirthBoolean",
         "multipleBirthInteger", "link"),
    "identifier": ("use", "type", "system", "value", "assigner"),
    "name": ("use", "text", "family", "given", "prefix"),
    "address": ("use", "type", "text", "postalCode"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexKeeper:
    """Writes patients for one client; `keeps` says whether it may change who somebody is."""

    connection: Connection
    issuers: Issuers
    client: str
    keeps: bool
    now: int

    def write_patient(self, content: Json, key: int | None) -> NewVersion:
        """Apply a Patient to the index and return the version to save; `key` None makes one.

        Raises Forbidden when the client may not change who somebody is, IdentityHold when the
        identifiers are not sound or somebody else's, NotConformant for what is not kept.
        """
        given = self._asserted(content)
        known = None if key is None else patients.read(self.connection, key)
        if known is not None and known.demographics.replaced_by:
            raise IdentityHold(
                Hold.REPORT_PATIENT, "this patient was merged into another", where="Patient"
            )
        if not self.keeps and (known is None or _differ(given, known.demographics)):
            raise Forbidden("this client may not change who a patient is")
        self._own_numbers(given, known)
        feed = Feed(self.client, self.now, "nhs")
        made = index(self.connection, PatientUpdate(given, "PUT"), feed, self.issuers, self.now)
        return patient_version(made, self.issuers)

    def _asserted(self, content: Json) -> Patient:
        _all_kept(content)
        given = read_patient(dict(content))
        counted = trusted(given.identifiers, self.issuers)
        if len(counted) != len(given.identifiers):
            raise NotConformant("has an issuer that is not trusted", where="Patient.identifier")
        if not (given.name.family and len(given.birth_date) == len("1970-01-01")):
            raise NotConformant("needs a family name and a whole birth date", where="Patient.name")
        return replace(given, identifiers=counted)

    def _own_numbers(self, given: Patient, known: Indexed | None) -> None:
        """Refuse identifiers of somebody else, living or merged, and a change without one's own."""
        owners = patients.owners(self.connection, given.identifiers)
        living = {patients.survivor(self.connection, owner) for owner in owners}
        if living - ({known.key} if known else set()):
            raise IdentityHold(
                Hold.PATIENT_MISMATCH, "an identifier belongs to another patient",
                where="Patient.identifier",
            )  # fmt: skip
        if known and not living:
            raise NotConformant("needs a number this patient has", where="Patient.identifier")


def require_own_number(condition: str, content: Json, aliases: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless a condition is one identifier of the Patient that is sent.

    Any other would find one person and write another (PIXm, ITI-104).
    """
    asked = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
    sent = {
        (aliases.get(one.get("system", ""), one.get("system", "")), one.get("value"))
        for one in content.get("identifier", ())
    }
    name, value = asked[0] if len(asked) == 1 else ("", "")
    system, _, number = value.rpartition("|")
    if name != "identifier" or (aliases.get(system, system), number) not in sent:
        text = "a Patient is found by one identifier of its own: identifier=system|value"
        raise InvalidRequest(text, where="identifier")


def _all_kept(content: Json) -> None:
    for part, names in _KEPT.items():
        items = [content] if not part else content.get(part, [])
        for at, item in enumerate(items):
            if unknown := sorted(item.keys() - set(names)):
                place = f"Patient.{part}[{at}]" if part else "Patient"
                raise NotConformant(
                    "the patient index does not keep this element", where=f"{place}.{unknown[0]}"
                )
    if len(content.get("address", ())) > 1:
        raise NotConformant("the patient index keeps one of these", where="Patient.address")
    if content.get("active") is False:
        raise NotConformant("a patient ends by a merge only", where="Patient.active")


def _differ(given: Patient, known: Patient) -> bool:
    """Whether a patient says of itself what the index does not; fewer numbers change nothing."""
    numbers = {(one.system, one.value) for one in known.identifiers}
    added = {(one.system, one.value) for one in given.identifiers} - numbers
    names = (given.name.family, given.name.given) != (known.name.family, known.name.given)
    return bool(added) or names or given.birth_date != known.birth_date
