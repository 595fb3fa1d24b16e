"""Apply demographics from a trusted feed to the patient index.

A feed may correct a birth date or a name, but it may not make one person into another: that
would move every later report (`_refuse_stranger`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.errors import Hold, IdentityHold, InvalidContent
from gateway.fhir import people
from gateway.fhir.composed import Context
from gateway.identify.match import Known, best_rule
from gateway.identify.names import family_agrees, given_agrees
from gateway.identify.numbers import Issuers, national, trusted
from gateway.report import Identifier, Patient, PatientUpdate, PersonName
from gateway.store import families, identity, patients
from gateway.store.database import Connection
from gateway.store.patients import Indexed, Said
from gateway.store.resources import NewVersion, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping
from gateway.translate.times import micros

_STRANGER = "birth date and name are of another person than the index has for this number"


@dataclass(frozen=True, slots=True)
class Feed:
    """Where demographics come from: who says so, when they arrived, and what the records are."""

    source: str
    received_at: int
    record_class: str


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
    feed = Feed(part.sender, part.received_at, mapping.sender.record_class)
    return [f"Patient/{apply_update(connection, update, feed, issuers, now).id}"]


def apply_update(
    connection: Connection, update: PatientUpdate, feed: Feed, issuers: Issuers, now: int
) -> Indexed:
    """Make or change the patient that demographics are of, and its Patient; raises as `index`."""
    known = index(connection, update, feed, issuers, now)
    publish_patient(connection, known, issuers, now)
    return known


def index(
    connection: Connection, update: PatientUpdate, feed: Feed, issuers: Issuers, now: int
) -> Indexed:
    """Make or change the patient that demographics are of; raises IdentityHold, InvalidContent.

    What is older than what the index has changes nothing.
    """
    counted = trusted(update.patient.identifiers, issuers)
    given = replace(update.patient, identifiers=counted)
    said = Said(feed.source, micros(update.clock) if update.clock else feed.received_at)
    found = patients.find(connection, counted)
    if len(found) > 1:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the identifiers belong to different patients", where="PID-3"
        )
    if found and said.clock < found[0].clock:
        return found[0]
    if found:
        known = _changed(connection, found[0], given, update.cleared, said, now)
    else:
        known = _made(connection, given, said, now, feed.record_class)
    _note_mother(connection, known, update.mother, issuers, said)
    return known


def publish_patient(connection: Connection, known: Indexed, issuers: Issuers, now: int) -> None:
    """Write the Patient resource as the index has it now."""
    save(connection, [patient_version(known, issuers)], now)


def patient_version(known: Indexed, issuers: Issuers) -> NewVersion:
    """Return the Patient resource as the index has it now."""
    context = Context(received="", message_id="", chi_system=issuers.chi_system)
    content = people.patient(known.demographics, context)
    return NewVersion("Patient", known.id, content, known.key, known.record_class)


def _made(
    connection: Connection, given: Patient, said: Said, now: int, record_class: str
) -> Indexed:
    if not (given.birth_date and (given.name.family or given.name.given)):
        raise InvalidContent("a new patient needs a name and a birth date", where="PID")
    provisional = not any(national(one) for one in given.identifiers)
    return patients.create(connection, given, said, now, record_class, provisional)


def _changed(
    connection: Connection, known: Indexed, given: Patient, cleared: frozenset[str], said: Said,
    now: int,
) -> Indexed:  # fmt: skip
    _refuse_stranger(connection, known, given)
    merged = _merged(known.demographics, given, cleared)
    provisional = known.provisional and not any(national(one) for one in given.identifiers)
    return patients.change(connection, known, merged, said, now, provisional)


def _refuse_stranger(connection: Connection, known: Indexed, given: Patient) -> None:
    """Hold what would make one person into another (a wrong number typed into the feed).

    Refused: another birth date together with a name that has nothing in common; and any new name
    that, with its birth date, is already somebody else's of the index.
    """
    old = known.demographics
    birth_date = given.birth_date or old.birth_date
    (person,) = identity.persons(connection, [known.key])
    mine = Known(person.key, person.name, person.birth_date, person.names)
    name = _name(old, given)
    if best_rule(name, mine):
        return
    family, given_too = family_agrees(name.family, old.name.family), given_agrees(name, old.name)
    if birth_date != old.birth_date and not (family or given_too):
        raise IdentityHold(Hold.PATIENT_MISMATCH, _STRANGER, where="PID-5")
    # Another given name may be a twin's.
    if not given_too and any(
        best_rule(name, Known(one.key, one.name, one.birth_date, one.names))
        for one in identity.born(connection, birth_date)
        if one.key != known.key
    ):
        raise IdentityHold(Hold.PATIENT_MISMATCH, _STRANGER, where="PID-5")


def _note_mother(
    connection: Connection, known: Indexed, mother: Patient | None, issuers: Issuers, said: Said
) -> None:
    """Keep whose child a patient is, where the mother is named with a number that counts."""
    if mother is None:
        return
    try:
        numbers = trusted(mother.identifiers, issuers)
    except IdentityHold:
        return  # the next of kin is no reason to hold the patient
    found = patients.owners(connection, numbers) - {known.key}
    if len(found) == 1:
        families.relate(connection, known.key, found.pop(), "mother", said)


def _name(old: Patient, new: Patient) -> PersonName:
    """A name is replaced as a whole, but for what the message does not say."""
    values = {
        field: value
        for field in ("family", "given", "prefix")
        if (value := getattr(new.name, field))
    }
    return replace(old.name, **values)


def _merged(old: Patient, new: Patient, cleared: frozenset[str]) -> Patient:
    """Empty is no change; what was set to null goes (ingest 2.4)."""
    changed = {
        field: getattr(new, field)
        for field in (
            "birth_date", "sex", "postcode", "deceased", "multiple_birth", "address_since",
            "ethnic_category", "confidentiality", "other_names",
        )
        if getattr(new, field) or field in cleared
    }  # fmt: skip
    identifiers: tuple[Identifier, ...] = new.identifiers
    return replace(old, name=_name(old, new), identifiers=identifiers, **changed)
