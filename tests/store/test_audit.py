from __future__ import annotations

import threading
from pathlib import Path

import orjson
import pytest

from gateway.errors import StoreUnavailable
from gateway.store.audit import Event, Journal, Verdict, verify

EVENT = Event(1, "client", "read", "Patient/p1", 200, returned=("Patient/p1/_history/1",))


def only(folder: Path) -> Path:
    [path] = folder.iterdir()
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "audit")
    for number in range(5):
        journal.record(EVENT, sync=number == 4)
    journal.close()
    return only(tmp_path / "audit")


def test_every_event_is_a_line_that_says_who_and_what(written: Path) -> None:
    lines = [orjson.loads(line) for line in written.read_bytes().splitlines()]
    assert len(lines) == 5
    assert lines[0] | {"digest": ""} == {
        "digest": "",
        "time": 1,
        "client": "client",
        "interaction": "read",
        "target": "Patient/p1",
        "status": 200,
        "returned": ["Patient/p1/_history/1"],
    }
    assert verify(written) == Verdict(5)
    assert written.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda lines: lines[:2] + lines[3:], 3),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [*lines[:4], lines[4].replace(b"200", b"403")], 5),
        (lambda lines: [*lines[:1], b"rubbish\n", *lines[1:]], 2),
        (lambda lines: [*lines[:4], lines[4][:30]], 5),
        (lambda lines: lines[1:], 1),
    ],
)
def test_a_changed_journal_is_evident(written: Path, change: object, broken: int) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(change(lines)))  # type: ignore[operator] # one of the lambdas
    assert verify(written) == Verdict(broken - 1, broken)


def test_threads_write_whole_lines_in_one_chain(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "audit")
    threads = [
        threading.Thread(target=lambda: [journal.record(EVENT) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert verify(only(tmp_path / "audit")) == Verdict(200)


def test_a_journal_that_cannot_be_written_is_said_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("in the way")
    journal = Journal(folder)
    with pytest.raises(StoreUnavailable):
        journal.record(EVENT)
    folder.unlink()
    journal.record(EVENT, sync=True)
    journal.close()
    assert verify(only(folder)) == Verdict(1)
