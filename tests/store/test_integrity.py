from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.store.database import Database
from gateway.store.files import Files
from gateway.store.integrity import count_orphans, problems
from tests.flow.office import Desk


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    made = Desk(database, tmp_path)
    callum = demo._PEOPLE[2]
    assert made.send(demo._patient(*callum, 1))["state"] == "filed"
    assert made.send(demo._pdf("P1", "IG-3", callum))["state"] == "filed"
    return made


def _problems(desk: Desk) -> list[str]:
    return list(problems(desk.database, Files(desk.folder / "files")))


def test_a_sound_store_has_no_problems(desk: Desk) -> None:
    assert _problems(desk) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM part WHERE key = (SELECT max(key) FROM part WHERE key NOT IN"
         " (SELECT part_key FROM edition))", "1 accepted messages without work"),
        ("UPDATE part SET state = 'received'", "2 open parts that no worker will take"),
        ("DELETE FROM edition", "1 reports without the version that stands"),
    ],
)  # fmt: skip
def test_what_must_never_be_is_said(desk: Desk, change: str, said: str) -> None:
    with desk.database.write() as connection:
        connection.execute(text(change))
    assert _problems(desk) == [said]


def test_a_missing_or_shortened_file_is_said(desk: Desk) -> None:
    (stored,) = [path for path in (desk.folder / "files").rglob("*") if path.is_file()]
    stored.write_bytes(b"short")
    assert _problems(desk) == ["1 stored files are missing or not as long as they were"]
    stored.unlink()
    assert _problems(desk) == ["1 stored files are missing or not as long as they were"]


def test_a_file_that_no_row_names_is_counted_and_no_problem(desk: Desk) -> None:
    files = Files(desk.folder / "files")
    assert count_orphans(desk.database, files) == 0
    files.keep(b"of a message that was not filed")
    assert count_orphans(desk.database, files) == 1
    assert _problems(desk) == []
