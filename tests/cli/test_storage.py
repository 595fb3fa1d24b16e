from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import demo
from gateway.cli import main
from gateway.store.database import Database
from gateway.store.schema import upgrade
from tests.flow.office import Desk


def _run(data: Path, *words: str, ok: bool = True, **settings: str) -> str:
    environment = {"GATEWAY_DATA": str(data), **settings}
    result = CliRunner().invoke(main, list(words), env=environment)
    assert (result.exit_code == 0) is ok, result.output
    return result.output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'gateway.db'}")
    upgrade(database)
    desk = Desk(database, folder)
    callum = demo._PEOPLE[2]
    desk.send(demo._patient(*callum, 1))
    assert desk.send(demo._pdf("P1", "IG-3", callum))["state"] == "filed"
    database.close()
    return folder


def test_a_backup_is_written_checked_and_restored(data: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "backup.tar")
    assert "written and verified" in _run(data, "backup", file)
    assert "sound" in _run(data, "backup", file, "--verify")
    assert "restored" in _run(tmp_path / "new", "restore", file)
    assert "the store is sound" in _run(tmp_path / "new", "db", "check")
    listed = _run(tmp_path / "new", "messages", "list")
    assert listed.count("filed") >= 2
    assert "not empty" in _run(tmp_path / "new", "restore", file, ok=False)


def test_a_backup_that_is_none_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_bytes(b"not a tar")
    said = _run(tmp_path / "new", "restore", str(tmp_path / "backup.tar"), ok=False)
    assert "cannot be read as a backup" in said


def test_a_check_finds_a_missing_file(data: Path) -> None:
    (stored,) = [path for path in (data / "files").rglob("*") if path.is_file()]
    stored.unlink()
    assert "1 stored files are missing" in _run(data, "db", "check", ok=False)


def test_a_purge_says_what_it_would_empty_and_empties_it(data: Path) -> None:
    database = Database(f"sqlite:///{data / 'gateway.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE message SET received_at = 1")
        connection.exec_driver_sql("UPDATE edition SET received_at = 1")
        connection.exec_driver_sql("UPDATE part SET changed_at = 1")
    database.close()
    assert "would be emptied: 0 filed" in _run(data, "purge", "--dry-run")
    days = {"GATEWAY_RETENTION_DAYS": "30"}
    assert "would be emptied: 2 filed" in _run(data, "purge", "--dry-run", **days)
    assert "emptied: 2 filed" in _run(data, "purge", **days)
    assert "emptied: 0 filed" in _run(data, "purge", **days)
