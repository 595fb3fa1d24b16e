"""A Patient that a client writes: it reaches the patient index by rules, or not at all.

The hook for stricter rules is `write_patient`: everything over FHIR that changes who is known
passes through it. Today: only a client that keeps the index may make a patient or change
identifiers, name or birth date; any client that may update a Patient may correct sex, postcode
and death. What the index does not keep is refused, because the next message would drop it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.errors import Forbidden, Hold, IdentityHold, NotConformant
from gateway.fhir import people
from gateway.fhir.composed import Context
from gateway.identify.match import Issuers, trusted
from gateway.report import Identifier, Patient, PersonName
from gateway.store import patients
from gateway.store.database import Connection
from gateway.store.patients import Indexed
from gateway.store.resources import NewVersion

Json = Mapping[str, Any]

_KEPT = {
    "": ("resourceType", "id", "meta", "text", "active", "identifier", "name", "gender",
         "birthDate", "address", "deceasedBoolean", "deceasedDateTime", "link"),
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
        self._unclaimed(given, known)
        if known is None:
            made = patients.create(self.connection, given, self.client, self.now, self.now, "nhs")
        else:
            made = patients.change(self.connection, known, given, self.client, self.now, self.now)
        context = Context(received="", message_id="", chi_system=self.issuers.chi_system)
        composed = people.patient(made.demographics, context)
        return NewVersion("Patient", made.id, composed, made.key, made.record_class)

    def _asserted(self, content: Json) -> Patient:
        _all_kept(content)
        given = _patient(content)
        counted = trusted(given.identifiers, self.issuers)
        if len(counted) != len(given.identifiers):
            raise NotConformant("has an issuer that is not trusted", where="Patient.identifier")
        if not (given.name.family and len(given.birth_date) == len("1970-01-01")):
            raise NotConformant("needs a family name and a whole birth date", where="Patient.name")
        return replace(given, identifiers=counted)

    def _unclaimed(self, given: Patient, known: Indexed | None) -> None:
        """Refuse identifiers of somebody else; living or merged."""
        owners = patients.owners(self.connection, given.identifiers)
        living = {patients.survivor(self.connection, owner) for owner in owners}
        if living - ({known.key} if known else set()):
            raise IdentityHold(
                Hold.PATIENT_MISMATCH, "an identifier belongs to another patient",
                where="Patient.identifier",
            )  # fmt: skip


def _all_kept(content: Json) -> None:
    for part, names in _KEPT.items():
        items = [content] if not part else content.get(part, [])
        for at, item in enumerate(items):
            if unknown := sorted(item.keys() - set(names)):
                place = f"Patient.{part}[{at}]" if part else "Patient"
                raise NotConformant(
                    "the patient index does not keep this element", where=f"{place}.{unknown[0]}"
                )
    for part in ("name", "address"):
        if len(content.get(part, ())) > 1:
            raise NotConformant("the patient index keeps one of these", where=f"Patient.{part}")
    if content.get("active") is False:
        raise NotConformant("a patient ends by a merge only", where="Patient.active")


def _patient(content: Json) -> Patient:
    identifiers = tuple(
        Identifier(one.get("value", ""), one.get("system", ""), place="Patient.identifier")
        for one in content.get("identifier", ())
    )
    name: Json = next(iter(content.get("name", ())), {})
    address: Json = next(iter(content.get("address", ())), {})
    deceased = content.get("deceasedDateTime", "")
    if "deceasedBoolean" in content:
        deceased = "true" if content["deceasedBoolean"] else "false"
    return Patient(
        identifiers,
        PersonName(name.get("family", ""), tuple(name.get("given", ()))),
        content.get("birthDate", ""),
        content.get("gender", ""),
        address.get("postalCode", ""),
        deceased,
    )


def _differ(given: Patient, known: Patient) -> bool:
    """Whether a patient says of itself what the index does not; fewer numbers change nothing."""
    numbers = {(one.system, one.value) for one in known.identifiers}
    added = {(one.system, one.value) for one in given.identifiers} - numbers
    names = (given.name.family, given.name.given) != (known.name.family, known.name.given)
    return bool(added) or names or given.birth_date != known.birth_date
