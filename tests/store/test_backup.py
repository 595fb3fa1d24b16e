"""Backups hold everything, prove it, and bring it back once."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from gateway import demo
from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.store import schema
from gateway.store.backup import BackupError, backup, verify
from gateway.store.database import Database
from gateway.store.files import Files
from gateway.store.restore import restore
from gateway.store.tables import metadata
from tests.flow.office import Desk
from tests.receive.door import codes

CALLUM = demo._PEOPLE[2]


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """A database with patients, reports, a document, a repeat, a merge and a refused message."""
    made = Desk(database, tmp_path)
    for number, person in enumerate(demo._PEOPLE):
        assert made.send(demo._patient(*person, number))["state"] == "filed"
    assert made.send(demo._pdf("P1", "IG-3", CALLUM))["state"] == "filed"
    assert made.send(demo._pdf("P1", "IG-3", CALLUM))["state"] == "duplicate"
    assert made.send(demo._negative("N1", "LRI-2", demo._PEOPLE[1]))["state"] == "filed"
    made.accept(b"hello")
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "journal-1.ndjson").write_bytes(b'{"line":1}\n')
    return made


def _back_up(desk: Desk, to: Path) -> Path:
    backup(desk.database, Files(desk.folder / "files"), desk.folder / "audit", to)
    return to


def _tables(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: connection.execute(
                select(table).order_by(*table.primary_key.columns)
            ).all()
            for table in metadata.sorted_tables
        }  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'restored' / 'gateway.db'}")
    else:
        cluster = request.getfixturevalue("postgres_cluster")
        made = Database(cluster.url(f"restored_{abs(hash(tmp_path)) % 10**9}"))
    yield made
    made.close()


def test_what_is_restored_is_what_was_there(desk: Desk, empty: Database, tmp_path: Path) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    target = tmp_path / "restored"
    restore(empty, Files(target / "files"), target / "audit", taken)
    assert _tables(empty) == _tables(desk.database)
    assert schema.current(empty)
    assert schema.differences(empty) == []
    names = {path.name for path in (tmp_path / "files").rglob("*") if path.is_file()}
    assert {path.name for path in (target / "files").rglob("*") if path.is_file()} == names != set()
    assert (target / "audit" / "journal-1.ndjson").read_bytes() == b'{"line":1}\n'


def test_a_sender_that_sends_again_after_a_restore_makes_no_duplicate(
    desk: Desk, empty: Database, tmp_path: Path
) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    lost = demo._negative("N2", "LRI-9", demo._PEOPLE[0])
    desk.send(lost)  # after the backup: it is the sender who has it then
    target = tmp_path / "restored"
    restore(empty, Files(target / "files"), target / "audit", taken)
    again = Desk(empty, target)
    assert again.send(demo._negative("N1", "LRI-2", demo._PEOPLE[1]))["state"] == "duplicate"
    assert again.send(lost)["state"] == "filed"
    assert len(again.resources("DiagnosticReport")) == 3


def test_a_backup_that_is_taken_while_messages_come_is_consistent(
    desk: Desk, tmp_path: Path
) -> None:
    stop = threading.Event()
    sent = []

    def send() -> None:
        while not stop.is_set():
            number = len(sent)
            raw = demo._negative(f"M{number}", f"R{number}", demo._PEOPLE[number % 4])
            assert codes(desk.accept(raw))[0] == "AA"
            sent.append(number)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        while len(sent) < 5:
            stop.wait(0.01)
        taken = _back_up(desk, tmp_path / "backup.tar")
        counted = len(sent)
        while len(sent) < counted + 5:
            stop.wait(0.01)
    finally:
        stop.set()
        sending.join()
    copy = Database(f"sqlite:///{tmp_path / 'copy' / 'gateway.db'}")
    restore(copy, Files(tmp_path / "copy" / "files"), tmp_path / "copy" / "audit", taken)
    found = _tables(copy)
    accepted = {row.key for row in found["message"] if row.state == "accepted"}
    assert {row.message_key for row in found["part"]} == accepted
    copy.close()


def _damage(path: Path, member: str, change: Any) -> None:
    with tarfile.open(path) as tar:
        members = [(entry, (tar.extractfile(entry) or io.BytesIO()).read()) for entry in tar]
    with tarfile.open(path, "w") as tar:
        for entry, content in members:
            if entry.name == member:
                content = change(content)
                if content is None:
                    continue
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("tables/message.ndjson", lambda content: content.replace(b"AA", b"AR", 1)),
        ("tables/message.ndjson", lambda content: content[: content.rindex(b"[")]),
        ("tables/part.ndjson", lambda content: None),
        ("manifest.json", lambda content: None),
        ("manifest.json", lambda content: content[:-20]),
        ("manifest.json", lambda content: content.replace(b'"format": 1', b'"format": 9')),
    ],
)
def test_a_backup_that_is_not_sound_changes_nothing(
    desk: Desk, tmp_path: Path, member: str, change: Any
) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    assert verify(taken).rows > 0
    _damage(taken, member, change)
    copy = Database(f"sqlite:///{tmp_path / 'copy' / 'gateway.db'}")
    with pytest.raises(BackupError):
        restore(copy, Files(tmp_path / "copy" / "files"), tmp_path / "copy" / "audit", taken)
    with copy.read() as connection:
        assert schema.revision(connection) == ""
    copy.close()


def test_a_file_that_was_cut_short_is_no_backup(desk: Desk, tmp_path: Path) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    content = taken.read_bytes()
    for length in (0, 100, len(content) // 2):
        taken.write_bytes(content[:length])
        with pytest.raises(BackupError):
            verify(taken)


def test_a_changed_file_in_the_store_is_found_when_the_backup_is_taken(
    desk: Desk, tmp_path: Path
) -> None:
    (stored,) = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    content = stored.read_bytes()
    stored.write_bytes(b"x" + content[1:])
    with pytest.raises(BackupError, match="not what it was"):
        _back_up(desk, tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()
    assert list(tmp_path.glob(".backup-*")) == []


def test_nothing_is_restored_over_what_is_there(desk: Desk, tmp_path: Path) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    before = _tables(desk.database)
    with pytest.raises(InvalidRequest):
        restore(desk.database, Files(tmp_path / "other"), tmp_path / "none", taken)
    assert _tables(desk.database) == before
    copy = Database(f"sqlite:///{tmp_path / 'copy' / 'gateway.db'}")
    with pytest.raises(InvalidRequest, match="journals"):
        restore(copy, Files(tmp_path / "copy" / "files"), tmp_path / "audit", taken)
    copy.close()


def test_a_backup_of_the_release_before_is_restored_and_upgraded(
    database_url: str, tmp_path: Path
) -> None:
    old = Database(database_url)
    schema.upgrade(old, "0001")
    insert = text(
        "INSERT INTO patient (id, family, given, birth_date, sex, postcode, deceased,"
        " record_class, merged_into, clock, changed_at)"
        " VALUES (:id, 'f', 'g', '', '', '', '', 'nhs', :into, 0, 0)"
    )
    with old.write() as connection:
        connection.execute(insert, {"id": "a", "into": None})
        connection.execute(insert, {"id": "b", "into": 1})
        connection.execute(text("UPDATE patient SET merged_into = 2 WHERE id = 'a'"))
    taken = tmp_path / "backup.tar.gz"
    made = backup(old, Files(tmp_path / "none"), tmp_path / "audit", taken)
    assert made.revision == "0001"
    assert taken.read_bytes()[:2] == b"\x1f\x8b"
    copy = Database(f"sqlite:///{tmp_path / 'copy' / 'gateway.db'}")
    restore(copy, Files(tmp_path / "copy" / "files"), tmp_path / "copy" / "audit", taken)
    assert schema.current(copy)
    assert schema.differences(copy) == []
    assert [(row.id, row.merged_into) for row in _tables(copy)["patient"]] == [("a", 2), ("b", 1)]
    old.close()
    copy.close()


def test_a_backup_is_never_written_over_another(desk: Desk, tmp_path: Path) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    before = taken.read_bytes()
    with pytest.raises(InvalidRequest):
        _back_up(desk, taken)
    assert taken.read_bytes() == before
    assert taken.stat().st_mode & 0o077 == 0
    with pytest.raises(StoreUnavailable):
        _back_up(desk, tmp_path / "no such folder" / "backup.tar")


def test_what_does_not_arrive_as_it_was_leaves_the_database_empty(
    desk: Desk, tmp_path: Path
) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    copy = Database(f"sqlite:///{tmp_path / 'copy' / 'gateway.db'}")
    schema.upgrade(copy)
    with copy.write() as connection:
        connection.execute(text(
            "CREATE TRIGGER other AFTER INSERT ON report"
            " BEGIN UPDATE report SET number = 'other' WHERE key = new.key; END"
        ))  # fmt: skip
    target = tmp_path / "copy"
    with pytest.raises(BackupError, match="tables/report"):
        restore(copy, Files(target / "files"), target / "audit", taken)
    assert not any(_tables(copy).values())
    assert not (target / "audit").exists()
    with copy.write() as connection:
        connection.execute(text("DROP TRIGGER other"))
    restore(copy, Files(target / "files"), target / "audit", taken)
    assert _tables(copy) == _tables(desk.database)
    copy.close()


def test_numbers_go_on_after_a_restore(desk: Desk, empty: Database, tmp_path: Path) -> None:
    taken = _back_up(desk, tmp_path / "backup.tar")
    highest = max(row.key for row in _tables(desk.database)["message"])
    restore(empty, Files(tmp_path / "r" / "files"), tmp_path / "r" / "audit", taken)
    again = Desk(empty, tmp_path / "r")
    again.send(demo._negative("N7", "LRI-7", demo._PEOPLE[0]))
    assert max(row.key for row in _tables(empty)["message"]) == highest + 1
