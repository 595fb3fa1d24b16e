"""Apply demographics from a trusted feed to the patient index."""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import Hold, IdentityHold, InvalidContent
from gateway.fhir import people
from gateway.fhir.composed import Context
from gateway.identify.match import Issuers, trusted
from gateway.report import Identifier, Patient, PatientUpdate
from gateway.store import patients
from gateway.store.database import Connection
from gateway.store.resources import NewVersion, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping
from gateway.translate.times import micros


def update_patient(
    connection: Connection,
    update: PatientUpdate,
    part: Part,
    mapping: SenderMapping,
    issuers: Issuers,
    now: int,
) -> list[str]:
    """Apply demographics from a trusted feed; raises IdentityHold or InvalidContent to hold it."""
    if not mapping.sender.trusted_patients:
        raise InvalidContent("this sender does not keep the patient index", where="MSH-3")
    counted = trusted(update.patient.identifiers, issuers)
    given = replace(update.patient, identifiers=counted)
    clock = micros(update.clock) if update.clock else part.received_at
    found = {one.key: one for one in patients.find(connection, counted)}
    if len(found) > 1:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the identifiers belong to different patients", where="PID-3"
        )
    if not found:
        if not (given.birth_date and given.name.family):
            raise InvalidContent("a new patient needs a name and a birth date", where="PID")
        record_class = mapping.sender.record_class
        known = patients.create(connection, given, part.sender, clock, now, record_class)
    else:
        known = next(iter(found.values()))
        if clock < known.clock:
            return [f"Patient/{known.id}"]
        merged = _merged(known.demographics, given, update.cleared)
        known = patients.change(connection, known, merged, part.sender, clock, now)
    context = Context(received="", message_id="", chi_system=issuers.chi_system)
    content = people.patient(known.demographics, context)
    save(connection, [NewVersion("Patient", known.id, content, known.key)], now)
    return [f"Patient/{known.id}"]


def _merged(old: Patient, new: Patient, cleared: frozenset[str]) -> Patient:
    """Empty is no change; what was set to null goes (ingest 2.4)."""
    name = replace(
        old.name,
        **{
            field: value
            for field in ("family", "given", "prefix")
            if (value := getattr(new.name, field))
        },
    )
    changed = {
        field: getattr(new, field)
        for field in ("birth_date", "sex", "postcode", "deceased")
        if getattr(new, field) or field in cleared
    }
    identifiers: tuple[Identifier, ...] = new.identifiers
    return replace(old, name=name, identifiers=identifiers, **changed)
