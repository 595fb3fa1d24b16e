"""What a named person decides about one patient: a number that came later, links to be hidden."""

from __future__ import annotations

from gateway.errors import IdentityHold, InvalidRequest, NotFound
from gateway.identify.numbers import trusted
from gateway.pipeline.decide import Decision, persist
from gateway.pipeline.file import Office
from gateway.pipeline.patients import publish_patient
from gateway.report import Identifier
from gateway.store import patients, quarantine
from gateway.store.database import Connection
from gateway.store.patients import Indexed

NUMBER, RESTRICT = "number", "restrict"
_BY_HAND = "by hand"


def give_number(office: Office, patient_id: str, number: str, decision: Decision) -> None:
    """Give a patient a CHI, NHS or Health & Care number, such as a new-born whose number came.

    Raises NotFound; InvalidRequest when it is no such number or is somebody's already: that is a
    merge, which the feed says.
    """
    try:
        (given,) = trusted([Identifier(number, type="NH")], office.issuers)
    except IdentityHold as error:
        raise InvalidRequest(error.text, where="NUMBER") from error
    persist(lambda: _give_number(office, patient_id, given, decision))


def restrict(office: Office, patient_id: str, decision: Decision) -> None:
    """Hide the earlier numbers, merges and versions of a patient, but for the privacy role.

    They still lead reports to the patient. Raises NotFound.
    """
    persist(lambda: _restrict(office, patient_id, decision))


def _give_number(office: Office, patient_id: str, given: Identifier, decision: Decision) -> None:
    now = office.clock()
    with office.database.write() as connection:
        known = _known(connection, patient_id)
        if patients.owners(connection, [given]):
            raise InvalidRequest("somebody has this number already", where="NUMBER")
        patients.add_number(connection, known.key, given, _BY_HAND, now)
        _decided(connection, office, known, decision, NUMBER, now)


def _restrict(office: Office, patient_id: str, decision: Decision) -> None:
    now = office.clock()
    with office.database.write() as connection:
        known = _known(connection, patient_id)
        patients.restrict(connection, known.key)
        _decided(connection, office, known, decision, RESTRICT, now)
        quarantine.hide_earlier_patients(connection, known.key)


def _known(connection: Connection, patient_id: str) -> Indexed:
    key = patients.find_id(connection, patient_id)
    if key is None:
        raise NotFound("there is no such patient", where=f"Patient/{patient_id}")
    return patients.by_key(connection, key)


def _decided(
    connection: Connection, office: Office, known: Indexed, decision: Decision, action: str,
    now: int,
) -> None:  # fmt: skip
    patients.record_decision(connection, known.key, now, decision.who, action, decision.why)
    publish_patient(connection, patients.read(connection, known.key), office.issuers, now)
