"""Who a report or an order is about: the index asked, the rules applied, the decision recorded."""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import Evidence, Hold, IdentityHold
from gateway.identify.match import Known, decide
from gateway.identify.numbers import Issuers, trusted
from gateway.pipeline.patients import Feed, apply_update
from gateway.report import Patient, PatientUpdate
from gateway.store import identity, patients
from gateway.store.database import Connection
from gateway.store.identity import Decided, Person
from gateway.store.patients import Indexed
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping

MATCH, HOLD, CREATE = "match", "hold", "create"


def find_subject(
    connection: Connection,
    asserted: Patient,
    part: Part,
    mapping: SenderMapping,
    issuers: Issuers,
    now: int,
) -> Indexed:
    """Return the patient of the index that a message is about, locked.

    Raises IdentityHold with the evidence. Where it was agreed with the sender, a patient that
    the index does not have is made of what the message says.
    """
    counted = trusted(asserted.identifiers, issuers)
    asserted = replace(asserted, identifiers=counted)
    candidates = patients.find(connection, counted)
    if not candidates and mapping.sender.creates_patients:
        return _created(connection, asserted, part, mapping, issuers, now)
    known = [known_of(one) for one in identity.persons(connection, (one.key for one in candidates))]
    decided = decide(
        asserted, known, lambda day: [known_of(one) for one in identity.born(connection, day)]
    )
    found = next(one for one in candidates if one.key == decided.known.key)
    _record(connection, part, MATCH, now, found.key, decided.evidence)
    return found


def record_hold(
    connection: Connection, part: Part, reason: Hold, evidence: Evidence, now: int
) -> None:
    """Keep why nobody could be decided on; in the transaction that holds the part."""
    identity.record(connection, Decided(part.key, now, HOLD, reason, None, evidence))


def _created(
    connection: Connection, asserted: Patient, part: Part, mapping: SenderMapping,
    issuers: Issuers, now: int,
) -> Indexed:  # fmt: skip
    feed = Feed(part.sender, part.received_at, mapping.sender.record_class)
    if not (asserted.birth_date and asserted.name.family):
        raise IdentityHold(
            Hold.PATIENT_UNKNOWN, "not in the index, and not enough is said to make a patient",
            where="PID", evidence=(("number", "absent"),),
        )  # fmt: skip
    made = apply_update(connection, PatientUpdate(asserted, CREATE), feed, issuers, now)
    _record(connection, part, CREATE, now, made.key, (("number", "absent"),))
    return made


def _record(
    connection: Connection, part: Part, outcome: str, now: int, key: int, evidence: Evidence
) -> None:
    identity.record(connection, Decided(part.key, now, outcome, "", key, evidence))


def known_of(one: Person) -> Known:
    """Return a person of the index as matching sees it."""
    return Known(one.key, one.name, one.birth_date, one.names, one.sex, one.postcode)
