from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import orjson
import pytest

from gateway.errors import StoreUnavailable
from gateway.store.audit import Event, Journal
from gateway.store.audit.check import first_broken
from gateway.store.audit.event import read_line

EVENT = Event(1, "client", "read", "Patient/p1", 200, returned=("Patient/p1/_history/1",))


def only(folder: Path) -> Path:
    [path] = folder.iterdir()
    return path


def sound_lines(path: Path) -> int:
    broken, _, size, torn = first_broken(path)
    assert broken is None
    assert not torn
    assert size == path.stat().st_size
    return len(path.read_bytes().splitlines())


@pytest.fixture
def written(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "audit")
    for number in range(5):
        journal.record(EVENT, sync=number == 4)
    journal.close()
    return only(tmp_path / "audit")


def test_every_event_is_a_line_that_says_who_and_what(written: Path) -> None:
    lines = [orjson.loads(line) for line in written.read_bytes().splitlines()]
    assert len(lines) == 6
    assert lines[0]["segment"] == written.stem
    assert lines[1] | {"digest": ""} == {
        "digest": "",
        "time": 1,
        "client": "client",
        "interaction": "read",
        "target": "Patient/p1",
        "status": 200,
        "returned": ["Patient/p1/_history/1"],
    }
    assert read_line(orjson.dumps(lines[1])) == EVENT
    assert sound_lines(written) == 6
    assert written.stat().st_mode & 0o077 == 0


def test_what_a_newer_release_says_besides_is_passed_over(written: Path) -> None:
    content = orjson.loads(written.read_bytes().splitlines()[1])
    assert read_line(orjson.dumps(content | {"later": 1})) == EVENT


@pytest.mark.parametrize(
    ("change", "what", "line"),
    [
        (lambda lines: lines[:2] + lines[3:], "altered", 3),
        (lambda lines: [lines[0], lines[1], *lines[1:]], "inserted", 3),
        (lambda lines: [*lines[:5], lines[5].replace(b"200", b"403")], "altered", 6),
        (lambda lines: [*lines[:1], b"rubbish\n", *lines[1:]], "inserted", 2),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "reordered", 2),
        (lambda lines: lines[1:], "altered", 1),
    ],
)
def test_a_changed_journal_is_evident(written: Path, change: object, what: str, line: int) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(change(lines)))  # type: ignore[operator] # one of the lambdas
    broken, *_ = first_broken(written)
    assert broken is not None
    assert (broken.what, broken.line) == (what, line)


def test_a_torn_last_line_is_no_tampering(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-30])
    broken, _, _, torn = first_broken(written)
    assert (broken, torn) == (None, 6)


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
    assert sound_lines(only(tmp_path / "audit")) == 201


def test_a_full_segment_is_followed_by_one_that_names_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "audit", segment_bytes=1000)
    for _ in range(20):
        journal.record(EVENT)
    journal.close()
    paths = sorted((tmp_path / "audit").iterdir())
    assert len(paths) > 2
    for before, after in itertools.pairwise(paths):
        end = orjson.loads(before.read_bytes().splitlines()[-1])["digest"]
        assert orjson.loads(after.read_bytes().splitlines()[0])["after"] == end
    assert sum(map(sound_lines, paths)) == 20 + len(paths)


def test_a_journal_that_cannot_be_written_is_said_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("in the way")
    journal = Journal(folder)
    with pytest.raises(StoreUnavailable):
        journal.record(EVENT)
    folder.unlink()
    journal.record(EVENT, sync=True)
    journal.close()
    assert sound_lines(only(folder)) == 2


def test_a_full_disk_leaves_no_torn_line_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "audit")
    journal.record(EVENT)
    real = os.write

    def full(handle: int, data: bytes) -> int:
        written: int = real(handle, data[:10])
        return written

    with monkeypatch.context() as broken:
        broken.setattr("gateway.store.audit.journal.os.write", full)
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                journal.record(EVENT)
    journal.record(EVENT)
    journal.close()
    assert sound_lines(only(tmp_path / "audit")) == 3


def test_a_journal_whose_file_was_removed_begins_another(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "audit")
    journal.record(EVENT)
    first = only(tmp_path / "audit")
    first.unlink()
    ended = threading.Event()
    for _ in range(100):
        journal.record(EVENT)
        if any((tmp_path / "audit").iterdir()):
            break
        ended.wait(0.1)
    journal.close()
    assert only(tmp_path / "audit") != first
