"""Writes on both databases: what stands, what is kept, and what happens at the same time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.config import CHI_SYSTEM
from gateway.errors import NotAllowed, NotConformant, PreconditionFailed
from gateway.fhir.conformance import check
from gateway.identify.numbers import Issuers
from gateway.pipeline.transaction import entries, run_transaction
from gateway.pipeline.writes import Writer, Written
from gateway.pipeline.written_patients import IndexKeeper
from gateway.store.database import Connection, Database
from gateway.store.resources import read
from tests.store.records import NOW, RULES, add_patient, add_report, scoped

ALL = scoped("system/*.cruds")
ORDER: dict[str, Any] = {
    "resourceType": "ServiceRequest", "status": "active", "intent": "order",
    "identifier": [{"system": "urn:example:order", "value": "o1"}],
    "code": {"text": "Panel"}, "subject": {"reference": "Patient/alice"},
}  # fmt: skip


@pytest.fixture
def filed(database: Database) -> Database:
    with database.write() as connection:
        add_report(connection, "a1", "alice", add_patient(connection, "alice", "0101625707"))
    return database


def writer(connection: Connection, now: int = NOW) -> Writer:
    keeper = IndexKeeper(connection, Issuers(CHI_SYSTEM), ALL.client, True, now)
    return Writer(connection, ALL, RULES, keeper, check, now)


def create(database: Database, condition: str = "") -> Written:
    with database.write() as connection:
        mine = writer(connection)
        return mine.save([mine.create("ServiceRequest", ORDER, condition=condition)])[0]


def test_a_write_is_filed_with_its_provenance(filed: Database) -> None:
    made = create(filed)
    with filed.write() as connection:
        mine = writer(connection, NOW + 1000)
        content = {**ORDER, "id": made.stored.id, "status": "completed"}
        plan = mine.update("ServiceRequest", made.stored.id, content, 'W/"1"')
        again = mine.save([plan])[0]
    assert (made.created, again.created, again.stored.version) == (True, False, 2)
    with filed.read() as connection:
        assert read(connection, ALL, "ServiceRequest", made.stored.id).body == again.stored.body
        found = writer(connection).matching("Provenance", f"target=ServiceRequest/{made.stored.id}"
                                            "&recorded=lt2025-10-09T08:53:20.001Z")  # fmt: skip
    assert found is not None


def test_racing_conditional_creations_make_one(filed: Database) -> None:
    made: list[Written] = []
    start = threading.Barrier(4)

    def race() -> None:
        start.wait()
        made.append(create(filed, "identifier=urn:example:order|o1"))

    threads = [threading.Thread(target=race) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({one.stored.id for one in made}) == 1
    assert sorted(one.created for one in made) == [False, False, False, True]


def test_what_stands_otherwise_is_refused(filed: Database) -> None:
    made = create(filed)
    with filed.write() as connection:
        mine = writer(connection)
        same = {**ORDER, "id": made.stored.id}
        with pytest.raises(PreconditionFailed):
            mine.update("ServiceRequest", made.stored.id, same, 'W/"9"')
        with pytest.raises(NotAllowed):
            mine.update("DiagnosticReport", "a1", {"resourceType": "DiagnosticReport", "id": "a1"})
        with pytest.raises(NotConformant):
            mine.create("ServiceRequest", {**ORDER, "subject": {"reference": "Patient/bob"}})
        with pytest.raises(PreconditionFailed):
            mine.matching("ServiceRequest", "_count=1")


def test_a_transaction_is_all_or_nothing(filed: Database) -> None:
    def run(*resources: dict[str, Any]) -> None:
        bundle = {"entry": [
            {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
            for one in resources
        ]}  # fmt: skip
        with filed.write() as connection:
            run_transaction(writer(connection), entries(bundle, RULES.base), lambda _: "")

    with pytest.raises(NotConformant) as caught:
        run(ORDER, {**ORDER, "status": "unheard-of"})
    assert caught.value.where == "Bundle.entry[1].resource.status"
    with filed.read() as connection:
        assert writer(connection).matching("ServiceRequest", "status=active") is None
    run(ORDER)
    with filed.read() as connection:
        assert writer(connection).matching("ServiceRequest", "status=active") is not None
