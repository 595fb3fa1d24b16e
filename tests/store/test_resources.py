from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from gateway.access.access import Access, Right
from gateway.errors import (
    Forbidden,
    Gone,
    IdentityHold,
    NotConformant,
    NotFound,
    VersionConflict,
)
from gateway.store.database import Database
from gateway.store.resources import NewVersion, history, read, read_version, save
from tests.store.records import (
    EVERYTHING,
    NOW,
    add_patient,
    add_report,
    observation,
    refer,
    report,
    restrict,
    scoped,
)

LATER = NOW + 5_000_000


@pytest.fixture
def key(database: Database) -> int:
    with database.write() as connection:
        return add_patient(connection, "p1", "0101625707")


def test_a_resource_is_served_as_the_text_that_was_filed(database: Database, key: int) -> None:
    content = {
        "meta": {"profile": ["http://example.org/p"]},
        "status": "final",
        "valueQuantity": {"value": Decimal("72.50")},
    }
    with database.write() as connection:
        [saved] = save(connection, [NewVersion("Observation", "o1", content, key)], NOW)
    with database.read() as connection:
        found = read(connection, EVERYTHING, "Observation", "o1")
    assert found.body == (
        '{"resourceType":"Observation","id":"o1","meta":{"versionId":"1",'
        '"lastUpdated":"2025-10-09T08:53:20.000Z","profile":["http://example.org/p"]},'
        '"status":"final","valueQuantity":{"value":72.50}}'
    )
    assert (saved.version, saved.changed, saved.key) == (1, True, found.key)


def test_the_same_content_again_makes_no_new_version(database: Database, key: int) -> None:
    with database.write() as connection:
        first = save(connection, [report("r1", "p1", key)], NOW)
        again = save(connection, [report("r1", "p1", key)], LATER)
    assert [saved.changed for saved in first + again] == [True, False]
    with database.read() as connection:
        assert len(history(connection, EVERYTHING, "DiagnosticReport", "r1")) == 1


def test_a_change_of_tags_or_of_class_is_a_new_version(database: Database, key: int) -> None:
    tagged = report("r1", "p1", key, meta={"tag": [{"code": "held-correction"}]})
    with database.write() as connection:
        save(connection, [report("r1", "p1", key)], NOW)
        [tagged_saved] = save(connection, [tagged], LATER)
        [moved] = save(connection, [report("r1", "p1", key, "research")], LATER)
    assert (tagged_saved.version, moved.version) == (2, 3)


def test_earlier_versions_stay_readable(database: Database, key: int) -> None:
    with database.write() as connection:
        save(connection, [report("r1", "p1", key)], NOW)
        save(connection, [report("r1", "p1", key, status="amended")], LATER)
    with database.read() as connection:
        first = read_version(connection, EVERYTHING, "DiagnosticReport", "r1", "1")
        second = read_version(connection, EVERYTHING, "DiagnosticReport", "r1", "2")
        with pytest.raises(NotFound):
            read_version(connection, EVERYTHING, "DiagnosticReport", "r1", "3")
        versions = history(connection, EVERYTHING, "DiagnosticReport", "r1")
    assert orjson.loads(first.body)["status"] == "final"
    assert orjson.loads(second.body)["status"] == "amended"
    assert [version.version for version in versions] == [2, 1]


def test_an_id_never_changes_its_patient(database: Database, key: int) -> None:
    with database.write() as connection:
        other = add_patient(connection, "p2", "0102625707")
        save(connection, [report("r1", "p1", key)], NOW)
    with database.write() as connection, pytest.raises(IdentityHold):
        save(connection, [report("r1", "p2", other)], LATER)


def test_a_reference_to_another_patient_is_refused(database: Database, key: int) -> None:
    with database.write() as connection:
        other = add_patient(connection, "p2", "0102625707")
        save(connection, [observation("o2", "p2", other)], NOW)
    for new in (report("r1", "p2", key), report("r1", "p1", key, result=refer("Observation/o2"))):
        with pytest.raises(IdentityHold), database.write() as connection:
            save(connection, [new], LATER)


def test_a_reference_that_leads_nowhere_is_refused(database: Database, key: int) -> None:
    with pytest.raises(NotConformant, match=r"DiagnosticReport\.result"), database.write() as c:
        save(c, [report("r1", "p1", key, result=refer("Observation/none"))], NOW)


def test_a_clinical_resource_without_a_patient_is_refused(database: Database) -> None:
    with pytest.raises(IdentityHold), database.write() as connection:
        save(connection, [NewVersion("Observation", "o1", {"status": "final"}, None)], NOW)


def test_one_resource_twice_in_a_batch_is_refused(database: Database, key: int) -> None:
    with pytest.raises(VersionConflict), database.write() as connection:
        save(connection, [report("r1", "p1", key), report("r1", "p1", key)], NOW)


def test_references_inside_one_batch_need_no_order(database: Database, key: int) -> None:
    with database.write() as connection:
        saved = save(
            connection,
            [
                report("r1", "p1", key, result=refer("Observation/o1")),
                observation("o1", "p1", key),
            ],
            NOW,
        )
    assert [(s.type, s.version) for s in saved] == [("DiagnosticReport", 1), ("Observation", 1)]


def test_a_deleted_resource_is_gone_and_its_history_stays(database: Database, key: int) -> None:
    with database.write() as connection:
        save(connection, [report("r1", "p1", key)], NOW)
        save(connection, [NewVersion("DiagnosticReport", "r1", {}, key, deleted=True)], LATER)
    with database.read() as connection:
        with pytest.raises(Gone):
            read(connection, EVERYTHING, "DiagnosticReport", "r1")
        assert read_version(connection, EVERYTHING, "DiagnosticReport", "r1", "1").version == 1
        assert len(history(connection, EVERYTHING, "DiagnosticReport", "r1")) == 2


def test_a_type_without_scope_is_forbidden(database: Database) -> None:
    access = scoped("system/Observation.rs", "system/DiagnosticReport.s")
    with database.read() as connection, pytest.raises(Forbidden):
        read(connection, access, "DiagnosticReport", "r1")


@pytest.mark.parametrize(
    "access",
    [
        scoped("system/*.rs", record_classes=["research"]),
        scoped("patient/*.rs", patient="somebody-else"),
        scoped("patient/*.rs"),
    ],
)
def test_what_may_not_be_seen_is_not_found(database: Database, key: int, access: Access) -> None:
    with database.write() as connection:
        add_report(connection, "r1", "p1", key)
    with database.read() as connection:
        for reading in (read, history):
            with pytest.raises(NotFound):
                reading(connection, access, "DiagnosticReport", "r1")
        with pytest.raises(NotFound):
            read_version(connection, access, "DiagnosticReport", "r1", "1")


def test_restricting_a_resource_hides_its_earlier_versions_too(
    database: Database, key: int
) -> None:
    with database.write() as connection:
        save(connection, [report("r1", "p1", key)], NOW)
        save(connection, [report("r1", "p1", key, status="amended")], LATER)
        restrict(connection, "r1")
    with database.read() as connection, pytest.raises(NotFound):
        read_version(connection, EVERYTHING, "DiagnosticReport", "r1", "1")


@pytest.mark.parametrize(
    ("type_", "id_"),
    [("Spaceship", "1"), ("Patient", "a\0b"), ("Patient", "x" * 65), ("Patient", "none")],
)
def test_an_impossible_address_is_not_found(database: Database, type_: str, id_: str) -> None:
    with database.read() as connection, pytest.raises(NotFound):
        read(connection, EVERYTHING, type_, id_)


def test_a_label_stays_until_another_is_stated_and_hides_what_is_more_confidential(
    sqlite: Database,
) -> None:
    with sqlite.write() as connection:
        alice = add_patient(connection, "p1", "0101625707")
        private = replace(report("r1", "p1", alice), confidentiality="R")
        save(connection, [private], NOW)
        [again] = save(connection, [report("r1", "p1", alice)], LATER)
        save(connection, [report("r1", "p1", alice, status="amended")], LATER)
    normal = Access("client", EVERYTHING.scopes, rights=(Right(confidentiality="N"),))
    with sqlite.read() as connection:
        assert not again.changed
        with pytest.raises(NotFound):
            read(connection, normal, "DiagnosticReport", "r1")
    with sqlite.write() as connection:
        opened = replace(report("r1", "p1", alice, status="amended"), confidentiality="N")
        assert save(connection, [opened], LATER)[0].changed
    with sqlite.read() as connection:
        assert read(connection, normal, "DiagnosticReport", "r1").version == 3
        assert [one.version for one in history(connection, normal, "DiagnosticReport", "r1")] == [3]
