"""Small invented records for tests of the store and of what serves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, insert, update

from gateway.access.scopes import Access, Right, access_for, parse_scopes
from gateway.store.resources import NewVersion, Saved, save
from gateway.store.search.query import Rules
from gateway.store.tables import patient, patient_identifier, resource

CHI = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"
OLD_CHI_URI = "http://www.nhs.uk/Id/scottish-chi-number"
LAB = "urn:example:report-number"
LOINC = "http://loinc.org"
BASE = "http://127.0.0.1:8000/fhir"
RULES = Rules(base=BASE, secret=b"a secret of the tests", aliases={OLD_CHI_URI: CHI})
NOW = 1_760_000_000_000_000
EVERYTHING = access_for("client", ["system/*.rs"])


def scoped(*scopes: str, patient: str = "", record_classes: Iterable[str] = ("nhs",)) -> Access:
    """What these scopes allow where policy shows every record of some classes."""
    rights = (Right(tuple(sorted(record_classes))),)
    return Access("client", parse_scopes(scopes)[0], rights=rights, patient=patient)


def add_patient(
    connection: Connection, id_: str, chi: str, record_class: str = "nhs", now: int = NOW
) -> int:
    """File a patient: index row, identifier and FHIR Patient; returns the patient key."""
    row = insert(patient).values(
        id=id_,
        family="",
        given="",
        birth_date="",
        sex="",
        record_class=record_class,
        clock=0,
        changed_at=0,
    )
    key: int = connection.execute(row.returning(patient.c.key)).scalar_one()
    connection.execute(
        insert(patient_identifier).values(
            system=CHI, value=chi, patient_key=key, state="current", source="test", since=0
        )
    )
    content = {"identifier": [{"system": CHI, "value": chi}]}
    save(connection, [NewVersion("Patient", id_, content, key, record_class)], now)
    return key


def report(
    id_: str, patient_id: str, key: int, record_class: str = "nhs", **more: Any
) -> NewVersion:
    content = {
        "identifier": [{"system": LAB, "value": id_}],
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "51969-4"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": "2025-03-12",
        **more,
    }
    return NewVersion("DiagnosticReport", id_, content, key, record_class)


def observation(
    id_: str, patient_id: str, key: int, record_class: str = "nhs", **more: Any
) -> NewVersion:
    content = {
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "69548-6"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        **more,
    }
    return NewVersion("Observation", id_, content, key, record_class)


def refer(*places: str) -> list[Mapping[str, str]]:
    return [{"reference": place} for place in places]


def add_report(
    connection: Connection,
    id_: str,
    patient_id: str,
    key: int,
    results: int = 2,
    now: int = NOW,
    **more: Any,
) -> list[Saved]:
    """File a report with its observations."""
    names = [f"{id_}-{number}" for number in range(results)]
    found = [observation(name, patient_id, key) for name in names]
    whole = report(id_, patient_id, key, result=refer(*(f"Observation/{n}" for n in names)), **more)
    return save(connection, [*found, whole], now)


def restrict(connection: Connection, id_: str) -> None:
    connection.execute(update(resource).where(resource.c.id == id_).values(restricted=True))
