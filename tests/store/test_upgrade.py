"""A database of the release before, with a backlog, is upgraded: nothing is lost, work goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.access.scopes import access_for
from gateway.config import Settings
from gateway.store import schema
from gateway.store.database import Database, now_micros
from gateway.store.resources import read
from gateway.store.search.query import Rules, parse_query
from gateway.store.search.run import search
from tests.flow.office import Desk
from tests.flow.test_versions import _message
from tests.store.records import EVERYTHING

_MESSAGE = text(
    "INSERT INTO message (received_at, source, sender, sending_application, sending_facility,"
    " control_id, type, charset, dedupe_key, raw, answer, reply, state, reason, control_id_reused)"
    " VALUES (:at, 'mllp:192.0.2.1', :sender, 'A', 'F', :control_id, 'ORU^R01', '', :dedupe, :raw,"
    " 'AA', :reply, 'accepted', '', false) RETURNING key"
)
_PART = text(
    "INSERT INTO part (message_key, ordinal, lane, state, reason, detail, account, outcome,"
    " attempts, ready_at, changed_at) VALUES (:message, 0, :lane, :state, :reason, '[]', '[]',"
    " '[]', 0, :ready, :at)"
)


@pytest.fixture
def old(database_url: str) -> Database:
    """A database as release 0001 left it: five patients and reports received, one held."""
    made = Database(database_url)
    schema.upgrade(made, "0001")
    raws = [("pas", demo._patient(*person, number)) for number, person in enumerate(demo._PEOPLE)]
    raws += [("lri", demo._negative(f"N{number}", f"R{number}", person))
             for number, person in enumerate(demo._PEOPLE)]  # fmt: skip
    at = now_micros()
    with made.write() as connection:
        for number, (sender, raw) in enumerate(raws):
            _keep(connection, number, sender, raw, at, "received")
        _keep(connection, 90, "lri", b"MSH|^~\\&|broken", at, "held")
    yield made
    made.close()


def _keep(connection: object, number: int, sender: str, raw: bytes, at: int, state: str) -> None:
    values = {"at": at, "sender": sender, "control_id": f"C{number}", "dedupe": f"d{number}",
              "raw": raw, "reply": b"kept"}  # fmt: skip
    key = connection.execute(_MESSAGE, values).scalar_one()  # type: ignore[attr-defined]
    part = {"message": key, "lane": f"lane-{number % 4}", "state": state, "at": at,
            "reason": "structure" if state == "held" else "",
            "ready": at if state == "received" else 0}  # fmt: skip
    connection.execute(_PART, part)  # type: ignore[attr-defined]


def test_an_upgrade_loses_nothing_and_the_backlog_is_filed(old: Database, tmp_path: Path) -> None:
    assert not schema.current(old)
    with old.read() as connection:
        query = text("SELECT key, raw, reply, dedupe_key FROM message ORDER BY key")
        before = connection.execute(query).all()
    schema.upgrade(old)
    assert schema.current(old)
    assert schema.differences(old) == []
    with old.read() as connection:
        assert connection.execute(query).all() == before
    desk = Desk(old, tmp_path)
    desk.work()
    states = desk.rows("SELECT state, count(*) AS n FROM part GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("filed", 8), ("held", 1)]
    assert len(desk.resources("DiagnosticReport")) == 4


_LABORATORY = "https://fhir.nhs.uk/Id/ods-organization-code|ST999"
_FILED = (
    "INSERT INTO patient (key, id, family, given, birth_date, sex, postcode, deceased,"
    " record_class, clock, changed_at) VALUES (1, 'patient-1', 'Testpatient', 'Morag Ailsa',"
    " '1962-01-01', 'female', '', '', 'nhs', 1, 1)",
    "INSERT INTO patient_identifier (system, value, patient_key, state, source, since) VALUES"
    f" ('{Settings().chi_system}', '{demo._PEOPLE[0][0]}', 1, 'current', 'pas', 1)",
    "INSERT INTO report (key, laboratory, number, patient_key, status, clock, sent_at,"
    " content_digest, record_class, tested_subject) VALUES"
    f" (1, '{_LABORATORY}', 'OLD-1', 1, 'preliminary', 1, 1, 'digest', 'nhs', 'self')",
    "INSERT INTO edition (report_key, part_key, status, clock, sent_at, content_digest,"
    " received_at) VALUES (1, 1, 'preliminary', 1, 1, 'digest', 1)",
    "INSERT INTO identity (owner, role, type, id) VALUES"
    " (1, 'DiagnosticReport', 'DiagnosticReport', 'report-1')",
    "INSERT INTO resource (type, id, version, updated_at, patient_key, record_class, digest, body)"
    " VALUES ('DiagnosticReport', 'report-1', 1, 1, 1, 'nhs', 'd', '{\"resourceType\":"
    '"DiagnosticReport","id":"report-1","status":"preliminary"}\')',
    # A worker of the release before was stopped with the lane of the backlog in hand.
    "INSERT INTO lane (name, owner, fence, leased_until) VALUES ('lane-2', 'gone', 7, 1)",
)


def test_work_goes_on_from_the_report_that_the_release_before_had_filed(
    database_url: str, tmp_path: Path
) -> None:
    old = Database(database_url)
    schema.upgrade(old, "0001")
    at = now_micros()
    with old.write() as connection:
        _keep(connection, 1, "lri", _message("P", "OLD-1", 1), at, "filed")
        _keep(connection, 2, "lri", _message("U", "OLD-1", 2), at, "received")
        for statement in _FILED:
            connection.exec_driver_sql(statement)
        if not old.is_sqlite:  # rows above have keys of our own choice
            connection.exec_driver_sql("SELECT setval('patient_key_seq', 1)")
            connection.exec_driver_sql("SELECT setval('report_key_seq', 1)")
    schema.upgrade(old)
    desk = Desk(old, tmp_path)
    # A backend client reads on, and the resource knows now whose it is.
    with old.read() as connection:
        assert read(connection, EVERYTHING, "DiagnosticReport", "report-1").version == 1
    assert [tuple(row) for row in desk.rows("SELECT owner FROM resource")] == [(1,)]
    desk.work()
    assert [row.state for row in desk.rows("SELECT state FROM part ORDER BY key")] == ["filed"] * 2
    ((id_, version),) = desk.rows(
        "SELECT id, version FROM resource WHERE type = 'DiagnosticReport'"
    )
    assert (id_, version) == ("report-1", 2)
    assert desk.resources("DiagnosticReport")[0]["status"] == "final"
    old.close()


_PAIR = (
    '{"resourceType":"Observation","id":"%s","status":"final","code":{"coding":[{"code":"69548-6"}]},'
    '"subject":{"reference":"Patient/patient-1"},"derivedFrom":[{"reference":"Observation/gone"}],'
    '"valueQuantity":{"value":0.35,"unit":"1"},"component":[{"code":{"coding":[{"code":"48018-6"}]},'
    '"valueCodeableConcept":{"coding":[{"system":"urn:genes","code":"%s"}]}}]}'
)
_PERSON = '{"resourceType":"Patient","id":"patient-1","name":[{"family":"Testpati\u00e9nt"}]}'
_STORED = text(
    "INSERT INTO resource (type, id, version, updated_at, patient_key, record_class, digest, body,"
    " deleted) VALUES (:type, :id, 1, 1, 1, 'nhs', 'd', :body, :deleted)"
)


def test_what_was_stored_before_is_found_by_the_new_parameters(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.search.indexing._BATCH", 7)  # several batches
    old = Database(database_url)
    schema.upgrade(old, "0002")
    with old.write() as connection:
        connection.exec_driver_sql(_FILED[0])
        rows = [("Patient", "patient-1", _PERSON, False)]
        rows += [
            ("Observation", f"o{n}", _PAIR % (f"o{n}", f"G{n % 3}"), n == 3) for n in range(30)
        ]
        for type_, id_, body, deleted in rows:
            values = {"type": type_, "id": id_, "body": body, "deleted": deleted}
            connection.execute(_STORED, values)
    schema.upgrade(old)
    assert schema.differences(old) == []

    def found(type_: str, name: str, value: str) -> int:
        query = parse_query(type_, [(name, value)], Rules("http://x", b""), strict=True)
        with old.search() as connection:
            return len(search(connection, access_for("c", ["system/*.rs"]), query).matches)

    assert found("Patient", "family", "testpatient") == 1
    assert found("Observation", "component-code-value-concept", "48018-6$urn:genes|G0") == 9
    assert found("Observation", "value-quantity", "0.35") == 29
    assert found("Observation", "derived-from:missing", "false") == 0  # it leads nowhere
    assert found("Patient", "_has:Observation:subject:component-value-concept", "G1") == 1
    old.close()
