"""What waits for a person because of who it is about, with everybody it could be about.

This shows patient data, side by side, to the one who must decide: whoever calls it sees to it
that the look is in the audit journal first.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.errors import Hold, IdentityHold, InvalidRequest
from gateway.identify.likeness import Likeness, likeness
from gateway.identify.numbers import trusted
from gateway.pipeline.file import Office, read_part
from gateway.report import Identifier, Patient, Translation
from gateway.store import decisions, identity, patients, work
from gateway.store.database import Connection
from gateway.store.identity import Decided
from gateway.store.patients import Indexed

REASONS = (
    Hold.PATIENT_IDENTIFIER, Hold.PATIENT_UNKNOWN, Hold.PATIENT_MISMATCH, Hold.REPORT_PATIENT,
)  # fmt: skip
_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient of the index that a held message could be about, and how like they are."""

    id: str
    known: Patient
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Review:
    """A held part: whom it describes, what was decided, and the candidates, the likest first."""

    asserted: Patient
    decided: tuple[Decided, ...]
    candidates: tuple[Candidate, ...]


def review(office: Office, part_key: int) -> Review:
    """Return what a person needs to decide about a held part; raises InvalidRequest."""
    with office.database.read() as connection:
        held = decisions.look(connection, part_key)
        if held is None or held.state != "held":
            raise InvalidRequest("it is not held", where="message")
        if held.purged:
            raise InvalidRequest("its bytes were removed by the retention rule", where="message")
        part = work.bring(connection, part_key)
        asserted = _asserted(read_part(part, office.mappings.by_name.get(part.sender)))
        decided = tuple(identity.decisions(connection, part_key))
        counted = replace(asserted, identifiers=_numbers(asserted, office))
        found = _candidates(connection, counted)
    made = (Candidate(one.id, one.demographics, likeness(counted, one.demographics))
            for one in found)  # fmt: skip
    ranked = sorted(made, key=lambda one: one.likeness.score, reverse=True)
    return Review(asserted, decided, tuple(ranked[:_CANDIDATES]))


def _asserted(translation: Translation) -> Patient:
    """Whom a message is about, of whatever kind it is."""
    described = [
        *(one.patient for one in translation.reports),
        *(one.patient for one in translation.patients),
        *(one.patient for one in translation.requests),
        *(one.survivor for one in translation.merges),
        *(one.one for one in translation.links),
    ]
    if not described:
        raise InvalidRequest("it cannot be read, so nobody knows whom it is about", where="message")
    return described[0]


def _numbers(asserted: Patient, office: Office) -> tuple[Identifier, ...]:
    """Its numbers that count; one that does not count hides no other."""
    found: list[Identifier] = []
    for one in asserted.identifiers:
        with suppress(IdentityHold):
            found += trusted([one], office.issuers)
    return tuple(found)


def _candidates(connection: Connection, asserted: Patient) -> list[Indexed]:
    """Whoever has one of its numbers, its birth date (as sent, or exchanged) or its family name."""
    day = asserted.birth_date
    exchanged = f"{day[:5]}{day[8:]}-{day[5:7]}" if len(day) == 10 else ""
    keys = patients.owners(connection, asserted.identifiers)
    keys |= set(identity.alike(connection, [day, exchanged], asserted.name.family))
    living = {patients.survivor(connection, key) for key in keys}
    return [patients.look(connection, key) for key in sorted(living)]
