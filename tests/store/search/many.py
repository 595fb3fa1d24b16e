"""Many records, made from one in SQL: a hundred thousand reports in some seconds.

The copies have ids, patients and report numbers of their own and share everything else.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.search.extraction import token_hashes, token_literal
from gateway.store.search.parameters import PARAMETERS
from tests.store.records import CHI, LAB, LOINC, NOW, add_patient, observation, refer, report

_MARK = "copy0"
_SERIES = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :copies) "
_PATIENT = (
    "INSERT INTO patient (key, id, family, given, birth_date, sex, postcode, deceased,"
    " record_class, clock, changed_at) SELECT key + i, replace(id, 'copy0', 'copy' || i), family,"
    " given, birth_date, sex, postcode, deceased, record_class, clock, changed_at FROM n, patient"
)
_IDENTIFIER = (
    "INSERT INTO patient_identifier (key, system, value, patient_key, state, source, since)"
    " SELECT key + i, system, value || '-' || i, patient_key + i, state, source, since"
    " FROM n, patient_identifier"
)
_RESOURCE = (
    "INSERT INTO resource (key, type, id, version, updated_at, patient_key, record_class,"
    " restricted, deleted, digest, body) SELECT key + i * :step, type,"
    " replace(id, 'copy0', 'copy' || i), version, updated_at, patient_key + i, record_class,"
    " restricted, deleted, digest, replace(body, 'copy0', 'copy' || i) FROM n, resource"
)
_INDEXES = (
    "INSERT INTO index_token SELECT CASE WHEN hash IN ({own}) THEN hash + i ELSE hash END,"
    " resource_key + i * :step FROM n, index_token",
    "INSERT INTO index_reference SELECT source_key + i * :step, parameter,"
    " target_key + i * :step FROM n, index_reference",
    "INSERT INTO index_date SELECT resource_key + i * :step, parameter, low, high"
    " FROM n, index_date",
    "INSERT INTO index_string SELECT parameter, text, resource_key + i * :step, exact"
    " FROM n, index_string",
    "INSERT INTO index_pair SELECT first, resource_key + i * :step, second, first_system,"
    " second_system FROM n, index_pair",
    "INSERT INTO index_quantity SELECT resource_key + i * :step, parameter, low, high, unit,"
    " unit_system, first, first_system FROM n, index_quantity",
)


def fill(database: Database, patients: int, reports: int, results: int) -> None:
    """File `patients` patients, each with `reports` reports of `results` observations each."""
    with database.write() as connection:
        step = _one(connection, reports, results)
    # Nothing here needs to be durable, and what the rows refer to is made with them.
    quick = "SET session_replication_role = replica"
    if database.is_sqlite:
        quick = "PRAGMA foreign_keys=OFF"
    with database.read() as connection:
        connection.exec_driver_sql(quick)
        connection.exec_driver_sql("PRAGMA synchronous=OFF" if database.is_sqlite else "SELECT 1")
        connection.exec_driver_sql("BEGIN")
        copies = {"copies": patients - 1, "step": step}
        own = ", ".join(str(hash_) for hash_ in _own_hashes(reports))
        for statement in (_PATIENT, _IDENTIFIER, _RESOURCE, *_INDEXES):
            connection.execute(text(_series(database, statement.format(own=own))), copies)
        if not database.is_sqlite:
            for table in ("patient", "patient_identifier", "resource"):
                connection.exec_driver_sql(
                    f"SELECT setval('{table}_key_seq', (SELECT max(key) FROM {table}))"
                )
        connection.exec_driver_sql("COMMIT")
        connection.invalidate()
    if not database.is_sqlite:  # as its own daemon does some minutes later
        with database.read() as connection:
            connection.exec_driver_sql("ANALYZE")


def _series(database: Database, statement: str) -> str:
    head, _, rest = statement.partition(" SELECT ")
    return f"{head} {_SERIES}SELECT {rest}"


def _own_hashes(reports: int) -> list[int]:
    parameter = PARAMETERS["DiagnosticReport"]["identifier"]
    texts = [token_literal(parameter, f"r{n}.{_MARK}") for n in range(reports)]
    texts += [token_literal(parameter, f"r{n}.{_MARK}", LAB) for n in range(reports)]
    who = PARAMETERS["Patient"]["identifier"]
    texts += [token_literal(who, "0101625707"), token_literal(who, "0101625707", CHI)]
    return [token_hashes(one)[0] for one in texts]


def _one(connection: Connection, reports: int, results: int) -> int:
    key = add_patient(connection, f"p.{_MARK}", "0101625707")
    filed = []
    for number in range(reports):
        names = [f"o{number}-{n}.{_MARK}" for n in range(results)]
        filed += [_variant(name, key, place) for place, name in enumerate(names)]
        filed.append(
            report(
                f"r{number}.{_MARK}", f"p.{_MARK}", key, effectiveDateTime=f"20{number % 25:02}-03",
                **({"result": refer(*(f"Observation/{n}" for n in names))} if names else {}),
            )
        )  # fmt: skip
    save(connection, filed, NOW)
    return len(filed) + 1


def _variant(id_: str, key: int, number: int) -> NewVersion:
    parts = [
        {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "valueCodeableConcept": {
                "coding": [{"system": "urn:genes", "code": f"{code}-{number}"}]
            },
        }
        for code in ("48018-6", "48004-6", "53037-8", "62374-4")
    ]
    parts.append({"code": {"coding": [{"system": LOINC, "code": "81258-6"}]},
                  "valueQuantity": {"value": 0.35, "unit": "1"}})  # fmt: skip
    return observation(id_, f"p.{_MARK}", key, component=parts)
