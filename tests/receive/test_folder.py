"""The drop folder: each file is stored once, answered and moved, whatever happens between."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.receive.folder import FolderDoor
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.receive.door import MAPPINGS, codes, field, intake, message, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def _door(database: Database, folder: Path, **settings: object) -> FolderDoor:
    source = Source("dropped", folder=folder)
    given = replace(Settings(), **settings)  # type: ignore[arg-type]
    return FolderDoor(source, folder, intake(database), given, now_micros)


def _moved(folder: Path, to: str) -> list[str]:
    return sorted(path.name.partition("-")[2] for path in (folder / to).glob("*"))


def test_a_file_is_taken_when_it_has_not_changed_between_two_looks(
    database: Database, folder: Path
) -> None:
    door = _door(database, folder)
    (folder / "one.hl7").write_bytes(message("C1"))
    assert door.look() == 0
    (folder / "one.hl7").write_bytes(message("C1") + b"NTE|1||more\r")
    assert door.look() == 0
    assert door.look() == 1
    (row,) = rows(database)
    assert (row.source, row.state, row.answer) == ("dropped", "accepted", "AA")
    ack = (folder / "one.hl7.ack").read_bytes()
    assert (codes(ack)[0], field(ack, "MSA", 2)) == ("AA", "C1")
    assert not (folder / "one.hl7").exists()
    assert _moved(folder, "done") == ["one.hl7"]


def test_what_is_refused_is_moved_apart_with_its_answer(sqlite: Database, folder: Path) -> None:
    door = _door(sqlite, folder, max_message_bytes=2_000)
    (folder / "stranger.hl7").write_bytes(message("C1", application="NOBODY"))
    (folder / "large.hl7").write_bytes(message("C2") + b"x" * 2_000)
    (folder / "not hl7").write_bytes(b"hello")
    door.look()
    assert door.look() == 3
    assert _moved(folder, "refused") == ["large.hl7", "not_hl7", "stranger.hl7"]
    assert {codes((folder / f"{name}.ack").read_bytes())[0]
            for name in ("stranger.hl7", "large.hl7", "not hl7")} == {"AR"}  # fmt: skip
    assert len(rows(sqlite)) == 3


def test_unfinished_hidden_and_foreign_things_are_left_alone(
    sqlite: Database, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "elsewhere.hl7"
    secret.write_bytes(message("C9"))
    (folder / "link.hl7").symlink_to(secret)
    (folder / "sub").mkdir()
    for name in (".hidden", "a.tmp", "b.PART", "c.ack", "d.error"):
        (folder / name).write_bytes(message("C1"))
    door = _door(sqlite, folder)
    door.look()
    assert door.look() == 0
    assert rows(sqlite) == []
    assert secret.exists()


@pytest.mark.parametrize(
    "name",
    ["x..\\..\\evil", "a b\u202egpj.hl7", "CON", "x" * 250, "caf\u00e9.hl7", "-rf *", "new\nline"],
)
def test_a_name_is_only_a_label(sqlite: Database, folder: Path, name: str) -> None:
    (folder / name).write_bytes(message("C1"))
    door = _door(sqlite, folder)
    door.look()
    assert door.look() == 1
    ((moved,), acks) = list((folder / "done").iterdir()), list(folder.glob("*.ack"))
    assert moved.name.isascii()
    assert len(moved.name) <= 64 + 1 + 80
    assert len(acks) == 1


def test_the_order_is_that_of_the_files(sqlite: Database, folder: Path) -> None:
    for number, name in enumerate(("b.hl7", "a.hl7", "c.hl7")):
        (folder / name).write_bytes(message(f"C{number}"))
        os.utime(folder / name, ns=(number * 10**9, number * 10**9))
    door = _door(sqlite, folder)
    door.look()
    door.look()
    assert [row.control_id for row in rows(sqlite)] == ["C0", "C1", "C2"]


def test_the_same_content_again_is_the_same_message(sqlite: Database, folder: Path) -> None:
    door = _door(sqlite, folder)
    for name in ("one.hl7", "two.hl7"):
        (folder / name).write_bytes(message("C1"))
        door.look()
        door.look()
    assert [row.state for row in rows(sqlite)] == ["accepted", "duplicate"]
    assert (folder / "one.hl7.ack").read_bytes() == (folder / "two.hl7.ack").read_bytes()
    assert _moved(folder, "done") == ["one.hl7", "two.hl7"]


def test_with_the_store_down_the_file_stays_and_is_taken_later(
    sqlite: Database, folder: Path
) -> None:
    door = _door(sqlite, folder)
    (folder / "one.hl7").write_bytes(message("C1"))
    door.look()
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    with pytest.raises(StoreUnavailable):
        door.look()
    assert (folder / "one.hl7").exists()
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO message")
    assert door.look() == 1
    assert [row.state for row in rows(sqlite)] == ["accepted"]


def test_a_file_that_is_replaced_while_it_is_taken_is_taken_too(
    sqlite: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, real = _door(sqlite, folder), Path.replace
    (folder / "one.hl7").write_bytes(message("C1"))

    def replaced_first(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", real)
        (folder / "next.tmp").write_bytes(message("C2"))
        (folder / "next.tmp").rename(folder / "one.hl7")  # after acceptance, before the claim
        return real(path, target)

    door.look()
    monkeypatch.setattr(Path, "replace", replaced_first)
    for _ in range(3):
        door.look()
    assert [row.control_id for row in rows(sqlite)] == ["C1", "C2"]
    assert field((folder / "one.hl7.ack").read_bytes(), "MSA", 2) == "C2"
    assert [path.read_bytes() for path in (folder / "done").iterdir()] == [message("C2")]


def test_what_cannot_be_moved_is_accepted_once_and_others_go_on(
    sqlite: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = _door(sqlite, folder)
    (folder / "refused").symlink_to(folder / "nowhere")  # in the way
    (folder / "bad.hl7").write_bytes(b"hello")
    (folder / "good.hl7").write_bytes(message("C1"))
    for _ in range(5):
        door.look()
    assert [row.state for row in rows(sqlite)] == ["rejected", "accepted"]
    assert _moved(folder, "done") == ["good.hl7"]
    assert sum("cannot be taken" in one.message for one in caplog.records) == 1
    (folder / "refused").unlink()
    assert door.look() == 1
    assert _moved(folder, "refused") == ["bad.hl7"]
    assert len(rows(sqlite)) == 2


def test_a_file_that_cannot_be_read_is_told_of_once_and_read_when_it_can(
    sqlite: Database, folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    door, real = _door(sqlite, folder), os.open

    def refusing(path: str | Path, *arguments: int, **named: int) -> int:
        if Path(path).name == "bad.hl7":
            raise PermissionError
        return real(path, *arguments, **named)

    for name in ("bad.hl7", "good.hl7"):
        (folder / name).write_bytes(message(name))
    monkeypatch.setattr(os, "open", refusing)
    for _ in range(4):
        door.look()
    assert _moved(folder, "done") == ["good.hl7"]
    assert sum("cannot be taken" in one.message for one in caplog.records) == 1
    monkeypatch.undo()
    door.look()
    assert _moved(folder, "done") == ["bad.hl7", "good.hl7"]


def test_large_files_that_begin_alike_are_both_kept(sqlite: Database, folder: Path) -> None:
    door = _door(sqlite, folder, max_message_bytes=70_000)
    for ending in (b"1", b"2"):
        (folder / "large.hl7").write_bytes(message("C1") + b"x" * 80_000 + ending)
        door.look()
        door.look()
    assert {path.read_bytes()[-1:] for path in (folder / "refused").iterdir()} == {b"1", b"2"}


def test_what_somebody_who_was_stopped_left_behind_goes_away(
    sqlite: Database, folder: Path
) -> None:
    (folder / ".taken" / "1234").mkdir(parents=True)
    (folder / ".new-5678.tmp").write_bytes(b"half")
    door = _door(sqlite, folder)
    for _ in range(3):
        door.look()
    assert [path.name for path in folder.rglob("*")] == [".taken"]


def test_a_running_door_takes_what_is_dropped_and_stops(sqlite: Database, folder: Path) -> None:
    door = _door(sqlite, folder, folder_poll_seconds=0.05)
    door.start()
    try:
        (folder / "new.tmp").write_bytes(message("C1"))
        (folder / "new.tmp").rename(folder / "new.hl7")
        for _ in range(600):
            if (folder / "done").exists() and _moved(folder, "done"):
                break
            door._stop.wait(0.05)
    finally:
        door.stop()
    assert _moved(folder, "done") == ["new.hl7"]


_KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from gateway.config import Settings
from gateway.receive import folder as module
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.receive.door import intake

step, where = sys.argv[3], Path(sys.argv[2])
owner, name = {
    "accept": (module, "accept"), "answer": (module.FolderDoor, "_answer"),
    "claim": (module.FolderDoor, "_claim"), "place": (module.FolderDoor, "_place"),
    "move": (module.FolderDoor, "_move"),
}[step.split()[1]]
real = getattr(owner, name)

def deadly(*given, **named):
    if step.startswith("after"):
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, deadly)
door = module.FolderDoor(Source("dropped", folder=where), where, intake(Database(sys.argv[1])),
                         Settings(), now_micros)
door.look()
door.look()
"""


@pytest.mark.parametrize("step", ["before accept", "after accept", "after claim", "before answer",
                                  "after place", "after answer", "before move",
                                  "after move"])  # fmt: skip
def test_killed_at_any_step_the_message_is_stored_once_and_answered(
    database_url: str, folder: Path, step: str
) -> None:
    from gateway.store.schema import upgrade

    database = Database(database_url)
    upgrade(database)
    (folder / "one.hl7").write_bytes(message("C1"))
    command = [sys.executable, "-c", _KILLED, database_url, str(folder), step]
    assert subprocess.run(command, cwd=MAPPINGS.parent, check=False).returncode == -9
    door = _door(database, folder)
    door.look()
    door.look()
    accepted = [row for row in rows(database) if row.state == "accepted"]
    assert [row.control_id for row in accepted] == ["C1"]
    assert len(rows(database, "SELECT 1 FROM part")) == 1
    assert (folder / "one.hl7.ack").read_bytes() == bytes(accepted[0].reply)
    assert _moved(folder, "done") == ["one.hl7"]
    assert not list(folder.glob("*.hl7"))
    database.close()
