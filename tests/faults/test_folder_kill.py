"""A process that takes files from a folder is killed again and again, at no chosen moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from gateway.config import Settings
from gateway.receive.folder import FolderDoor
from gateway.source import Source
from gateway.store.database import Database, now_micros
from gateway.store.schema import upgrade
from tests.receive.door import MAPPINGS, intake, message, rows

FILES = 60
ROUNDS = 8
_DOOR = """
import sys
from pathlib import Path
from gateway.config import Settings
from gateway.receive.folder import FolderDoor
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.receive.door import intake

folder = Path(sys.argv[2])
door = FolderDoor(Source("dropped", folder=folder), folder, intake(Database(sys.argv[1])),
                  Settings(), now_micros)
door.look()
print("ready", flush=True)
while True:
    door.look()
"""


def _kill_after(url: str, folder: Path, seconds: float) -> None:
    command = [sys.executable, "-c", _DOOR, url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=MAPPINGS.parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def test_every_file_is_stored_once_answered_and_moved(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    database = Database(database_url)
    upgrade(database)
    chance = random.Random(4)
    for number in range(FILES):
        (folder / f"{number:03}.hl7").write_bytes(message(f"C{number:03}"))
    for _ in range(ROUNDS):
        _kill_after(database_url, folder, chance.random() * 0.08)
    source = Source("dropped", folder=folder)
    door = FolderDoor(source, folder, intake(database), Settings(), now_micros)
    for _ in range(3):
        door.look()
    accepted = [row for row in rows(database) if row.state == "accepted"]
    assert [row.control_id for row in accepted] == [f"C{number:03}" for number in range(FILES)]
    assert len(rows(database, "SELECT 1 FROM part")) == FILES
    for row in accepted:
        assert (folder / f"{row.control_id[1:]}.hl7.ack").read_bytes() == bytes(row.reply)
    moved = {path.name.partition("-")[2] for path in (folder / "done").iterdir()}
    assert moved == {f"{number:03}.hl7" for number in range(FILES)}
    left = [path.name for path in folder.iterdir() if path.suffix != ".ack"]
    assert sorted(left) == [".taken", "done"]
    assert list((folder / ".taken").iterdir()) == []
    database.close()
