"""Link two records of one person that stay two records, and end that (ADT A24, A37)."""

from __future__ import annotations

from gateway.errors import Hold, IdentityHold, InvalidContent
from gateway.identify.numbers import Issuers, trusted
from gateway.pipeline.patients import publish_patient
from gateway.report import Patient
from gateway.request import Link
from gateway.store import merges, patients
from gateway.store.database import Connection
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping


def apply_link(
    connection: Connection,
    asked: Link,
    part: Part,
    mapping: SenderMapping,
    issuers: Issuers,
    now: int,
) -> list[str]:
    """Link or unlink two patients and return both; said again, it changes nothing.

    Nothing is re-pointed: each keeps its reports. Raises IdentityHold when one is not known, or
    both are one already.
    """
    if not mapping.sender.trusted_patients:
        raise InvalidContent("this sender does not keep the patient index", where="MSH-3")
    one, other = (_key(connection, given, issuers) for given in (asked.one, asked.other))
    if one == other:
        text = "a patient cannot be linked with itself"
        raise IdentityHold(Hold.PATIENT_MISMATCH, text, where="PID-3")
    merges.lock(connection, {one, other})
    if asked.ends:
        changed = patients.end_link(connection, (one, other), now)
    else:
        changed = patients.add_link(connection, (one, other), part.key, now)
    both = [patients.by_key(connection, key) for key in sorted((one, other))]
    for known in both if changed else ():
        publish_patient(connection, known, issuers, now)
    return [f"Patient/{known.id}" for known in both]


def _key(connection: Connection, given: Patient, issuers: Issuers) -> int:
    found = patients.owners(connection, trusted(given.identifiers, issuers))
    living = {patients.survivor(connection, key) for key in found}
    if not living:
        raise IdentityHold(Hold.PATIENT_UNKNOWN, "the index has no such patient", where="PID-3")
    if len(living) > 1:
        text = "the identifiers belong to different patients"
        raise IdentityHold(Hold.PATIENT_MISMATCH, text, where="PID-3")
    return living.pop()
