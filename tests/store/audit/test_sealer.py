"""Seals: nothing of the audit can be changed unseen, whoever is killed whenever."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from gateway.store.audit import Event, Journal
from gateway.store.audit.check import Anchor, Fault, check
from gateway.store.audit.entries import Wanted, find, patient_of
from gateway.store.audit.event import claimed
from gateway.store.audit.reading import read_events
from gateway.store.audit.retention import purge_audit
from gateway.store.audit.sealer import Sealer
from gateway.store.audit.segments import newest
from gateway.store.database import Database
from gateway.store.tables import audit_entry, audit_seal, audit_segment, patient
from tests.store.records import NOW, add_patient, add_report

KEY = b"a key of the tests"
EVENT = Event(NOW, "client", "read", "DiagnosticReport/a1", 200, person="p-1")
DAY = 86_400_000_000


def clock() -> int:
    return NOW


def fill(database: Database, folder: Path, count: int, segment_bytes: int = 64 << 20) -> None:
    journal = Journal(folder, database, segment_bytes)
    for number in range(count):
        journal.record(replace(EVENT, time=NOW + number))
    journal.close()


def faults(database: Database, folder: Path, key: bytes = b"") -> list[tuple[str, int]]:
    return [(one.what, one.line) for one in check(database, folder, key)]


def entries(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(audit_entry)).scalar_one())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def test_what_is_sealed_is_sound_and_indexed_once(database: Database, folder: Path) -> None:
    sealer = Sealer(database, folder, clock)
    fill(database, folder, 1200, 100_000)
    sealed = sealer.seal()
    assert sealed == 1200 + len(list(folder.iterdir()))
    assert sealer.seal() == 0
    assert entries(database) == 1200
    assert faults(database, folder) == []
    with database.read() as connection:
        found = find(connection, Wanted(person="p-1"), 3)
        assert find(connection, Wanted(client="another"), 3) == []
    assert [event.time for _, event in read_events(folder, found)] == [
        NOW + 1199, NOW + 1198, NOW + 1197,
    ]  # fmt: skip


def test_a_growing_segment_is_sealed_bit_by_bit(sqlite: Database, folder: Path) -> None:
    sealer, journal = Sealer(sqlite, folder, clock), Journal(folder, sqlite)
    for number in range(5):
        # A clock that goes back changes nothing.
        journal.record(replace(EVENT, time=NOW - number))
        assert sealer.seal() == (2 if number == 0 else 1)
    journal.close()
    assert faults(sqlite, folder) == []


def test_of_two_sealers_at_once_each_line_is_sealed_by_one(
    database: Database, folder: Path
) -> None:
    fill(database, folder, 3000, 60_000)
    files = len(list(folder.iterdir()))
    others = [Database(database.url.render_as_string(hide_password=False)) for _ in range(3)]
    done: list[int] = []

    def run(one: Database) -> None:
        done.append(Sealer(one, folder, clock).seal())

    threads = [threading.Thread(target=run, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rest = Sealer(database, folder, clock).seal()
    for one in others:
        one.close()
    assert sum(done) + rest == 3000 + files
    assert entries(database) == 3000
    assert faults(database, folder) == []


# -- tampering ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sealed(
    sqlite_schema: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Path, dict[str, bytes]]]:
    """A sealed audit of three segments, and the content of its files."""
    place = tmp_path_factory.mktemp("sealed")
    (place / "gateway.db").write_bytes(sqlite_schema.read_bytes())
    database, folder = Database(f"sqlite:///{place / 'gateway.db'}"), place / "audit"
    fill(database, folder, 30, 3000)
    Sealer(database, folder, clock).seal()
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert len(files) >= 3
    yield database, folder, files
    database.close()


def _flip(data: bytes, at: int, by: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ (by or 1)]) + data[at + 1 :]


def _cut(data: bytes, at: int, by: int) -> bytes:
    at %= len(data)
    return data[:at] + data[at + 1 + by :]


def _truncate(data: bytes, at: int, _: int) -> bytes:
    return data[: at % len(data)]


def _insert(data: bytes, at: int, by: int) -> bytes:
    at %= len(data) + 1
    return data[:at] + bytes([by]) + data[at:]


def _lines(act: Callable[[list[bytes], int, int], None]) -> Callable[[bytes, int, int], bytes]:
    def change(data: bytes, at: int, by: int) -> bytes:
        lines = data.splitlines(keepends=True)
        act(lines, at % len(lines), by % len(lines))
        return b"".join(lines)

    return change


def _swap(lines: list[bytes], one: int, other: int) -> None:
    lines[one], lines[other] = lines[other], lines[one]


CHANGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": _flip,
    "cut": _cut,
    "truncate": _truncate,
    "insert": _insert,
    "drop a line": _lines(lambda lines, one, _: lines.__delitem__(one)),
    "copy a line": _lines(lambda lines, one, other: lines.insert(one, lines[other])),
    "swap lines": _lines(_swap),
}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    which=st.integers(0, 99), kind=st.sampled_from(sorted(CHANGES)),
    at=st.integers(0, 10**6), by=st.integers(0, 255),
)  # fmt: skip
def test_any_change_of_what_is_sealed_is_found(
    sealed: tuple[Database, Path, dict[str, bytes]], which: int, kind: str, at: int, by: int
) -> None:
    database, folder, files = sealed
    name = sorted(files)[which % len(files)]
    changed = CHANGES[kind](files[name], at, by)
    (folder / name).write_bytes(changed)
    try:
        found = [one for one in check(database, folder) if one.tampering]
        if changed == files[name]:
            assert found == []
        elif changed.startswith(files[name]) and b"\n" not in changed[len(files[name]) :]:
            # Honest exception: bytes after the end, without a line end, look like a torn line.
            assert [one.what for one in check(database, folder)] == ["torn"]
        else:
            assert found, kind
            assert {one.file for one in found} <= set(files)
    finally:
        (folder / name).write_bytes(files[name])


def test_a_file_that_is_gone_or_came_from_nowhere_is_found(
    sqlite: Database, folder: Path, tmp_path: Path
) -> None:
    fill(sqlite, folder, 10)
    # Never sealed, and still missed: the process announced it.
    [path] = folder.iterdir()
    path.rename(tmp_path / path.name)
    assert faults(sqlite, folder) == [("missing", 0)]
    (tmp_path / path.name).rename(path)
    Sealer(sqlite, folder, clock).seal()
    assert faults(sqlite, folder) == []
    journal = Journal(folder)
    journal.record(EVENT)
    journal.close()
    assert faults(sqlite, folder) == [("inserted", 0)]
    sealer = Sealer(sqlite, folder, clock)
    assert (sealer.seal(), sealer.adopt(), sealer.seal()) == (0, 1, 2)
    assert faults(sqlite, folder) == []


def test_swapped_files_are_found(sqlite: Database, folder: Path) -> None:
    fill(sqlite, folder, 3)
    fill(sqlite, folder, 3)
    one, other = sorted(folder.iterdir())
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])
    assert {what for what, _ in faults(sqlite, folder)} == {"altered"}


def test_lines_that_were_never_sealed_are_missed_once_a_successor_names_their_end(
    sqlite: Database, folder: Path
) -> None:
    fill(sqlite, folder, 20, 2000)
    first = min(folder.iterdir())
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(b"".join(lines[:-1]))
    assert faults(sqlite, folder) == [("dropped", 0)]


@pytest.mark.parametrize("column", ["digest", "high", "at", "previous", "seal", "lines"])
def test_a_changed_seal_is_found(sqlite: Database, folder: Path, column: str) -> None:
    sealer = Sealer(sqlite, folder, clock, KEY)
    for _ in range(3):
        fill(sqlite, folder, 2)
        sealer.seal()
    assert faults(sqlite, folder, KEY) == []
    value = "0" * 64 if column in ("digest", "previous", "seal") else 7
    with sqlite.write() as connection:
        connection.execute(
            update(audit_seal).where(audit_seal.c.number == 2).values({column: value})
        )
    assert ("altered", 2) in faults(sqlite, folder, KEY)


def test_a_chain_that_was_cut_or_made_anew_is_found_by_its_head_or_its_key(
    sqlite: Database, folder: Path
) -> None:
    sealer = Sealer(sqlite, folder, clock, KEY)
    for _ in range(3):
        fill(sqlite, folder, 2)
        sealer.seal()
    with sqlite.read() as connection:
        head = newest(connection)
    assert head is not None
    anchor = Anchor(head.number, head.seal)
    assert list(check(sqlite, folder, KEY, anchor)) == []
    with sqlite.write() as connection:
        connection.execute(delete(audit_seal).where(audit_seal.c.number == 3))
    assert any(one.file == "seals" and one.line == 3 for one in check(sqlite, folder, KEY, anchor))
    # Even without the head: the segment says that it is sealed.
    assert faults(sqlite, folder, KEY) != []
    assert ("altered", 1) in faults(sqlite, folder, b"another key")
    assert ("altered", 1) in faults(sqlite, folder)


def test_an_entry_that_was_taken_out_of_the_index_is_missed(sqlite: Database, folder: Path) -> None:
    fill(sqlite, folder, 5)
    Sealer(sqlite, folder, clock).seal()
    with sqlite.write() as connection:
        connection.execute(delete(audit_entry).where(audit_entry.c.at == NOW + 2))
    assert faults(sqlite, folder) == [("index", 0)]


# -- kills ----------------------------------------------------------------------------------

RECORDS = """
import sys
from pathlib import Path
from gateway.store.audit import Event, Journal
from gateway.store.database import Database
journal = Journal(Path(sys.argv[1]), Database(sys.argv[2]), 20_000)
number = 0
while True:
    number += 1
    journal.record(Event(number, "client", "read", "Patient/p", 200, query="x" * 300))
    print(number, flush=True)
"""
SEALS = """
import sys
from pathlib import Path
from gateway.store.audit.sealer import Sealer
from gateway.store.database import Database, now_micros
sealer = Sealer(Database(sys.argv[2]), Path(sys.argv[1]), now_micros)
print("ready", flush=True)
while True:
    sealer.seal()
"""


def test_killed_recorders_and_sealers_lose_nothing_that_was_told(
    database: Database, folder: Path
) -> None:
    told = 0
    url = database.url.render_as_string(hide_password=False)
    for number in range(3):
        running = [
            subprocess.Popen([sys.executable, "-c", code, str(folder), url],
                             stdout=subprocess.PIPE, env=os.environ)
            for code in (RECORDS, SEALS)
        ]  # fmt: skip
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()
        time.sleep(0.2 + 0.13 * number)
        outputs = []
        for one in running:
            one.send_signal(signal.SIGKILL)
            outputs.append(one.communicate()[0])
        told += 1 + outputs[0].count(b"\n")
        assert [what for what, _ in faults(database, folder) if what != "torn"] == []
    Sealer(database, folder, clock).seal()
    assert [what for what, _ in faults(database, folder) if what != "torn"] == []
    assert told <= entries(database) <= told + 3


# -- who read what --------------------------------------------------------------------------


def test_who_read_a_report_is_found_by_its_patient_also_after_a_merge(
    database: Database, folder: Path
) -> None:
    with database.write() as connection:
        alice = add_patient(connection, "alice", "0101625707")
        bob = add_patient(connection, "bob", "0102625707")
        add_report(connection, "a1", "alice", alice)
        add_report(connection, "b1", "bob", bob)
    journal = Journal(folder, database)
    journal.record(replace(EVENT, client="one", returned=("DiagnosticReport/a1/_history/1",)))
    both = ("DiagnosticReport/a1", "Observation/b1-0")
    journal.record(replace(EVENT, client="two", interaction="search-type", returned=both))
    refused = replace(EVENT, client="three", target="DiagnosticReport/b1", status=403)
    journal.record(refused)
    journal.record(replace(EVENT, client="four", target="x", patient="bob"))
    journal.close()
    Sealer(database, folder, clock).seal()

    def who(**wanted: object) -> set[str]:
        with database.read() as connection:
            found = find(connection, Wanted(**wanted), 10)  # type: ignore[arg-type]
        return {event.client for _, event in read_events(folder, found)}

    def readers(id_: str) -> set[str]:
        with database.read() as connection:
            keys = patient_of(connection, id_)
        return who(patients=keys)

    assert readers("alice") == {"one", "two"}
    assert readers("bob") == {"two", "three", "four"}
    assert who(resource="DiagnosticReport/a1") == {"one", "two"}
    assert who(resource="DiagnosticReport/a1", statuses=((400, 500),)) == set()
    with database.write() as connection:
        connection.execute(update(patient).where(patient.c.key == bob).values(merged_into=alice))
    everybody = {"one", "two", "three", "four"}
    assert readers("alice") == readers("bob") == everybody
    with database.write() as connection:
        connection.execute(update(patient).values(merged_into=None))
    assert readers("alice") == {"one", "two"}


def test_a_long_journal_is_sealed_and_checked_in_little_memory(
    sqlite: Database, folder: Path
) -> None:
    journal = Journal(folder, sqlite)
    for _ in range(6000):
        journal.record(replace(EVENT, query="x" * 800))
    journal.close()
    size = sum(path.stat().st_size for path in folder.iterdir())
    tracemalloc.start()
    try:
        Sealer(sqlite, folder, clock).seal()
        assert faults(sqlite, folder) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 5_000_000
    assert peak < size // 2


# -- retention ------------------------------------------------------------------------------


def test_a_purged_segment_leaves_a_chain_that_is_sound(database: Database, folder: Path) -> None:
    fill(database, folder, 5)
    [old] = folder.iterdir()
    living = Journal(folder, database)
    living.record(EVENT)
    sealer = Sealer(database, folder, clock, KEY)
    assert purge_audit(database, folder, 30, NOW + 10**6 * DAY, KEY) == 0  # not sealed yet
    sealer.seal()
    later = time.time_ns() // 1000 + 31 * DAY
    assert purge_audit(database, folder, 0, later, KEY) == 0
    assert purge_audit(database, folder, 30, later - 2 * DAY, KEY) == 0
    content = old.read_bytes()
    assert purge_audit(database, folder, 30, later, KEY) == 1
    assert not old.exists()
    assert entries(database) == 1
    assert faults(database, folder, KEY) == []
    # What a process may still write to stays, however old.
    living.record(EVENT)
    living.close()
    # Killed between the seal of the purge and the end of the file: it goes the next time.
    old.write_bytes(content)
    assert purge_audit(database, folder, 30, later - 3 * DAY, KEY) == 0
    assert not old.exists()
    assert faults(database, folder, KEY) == []


def test_a_file_removed_under_the_pretext_of_retention_is_found(
    sqlite: Database, folder: Path
) -> None:
    fill(sqlite, folder, 5)
    Sealer(sqlite, folder, clock).seal()
    with sqlite.write() as connection:
        connection.execute(update(audit_segment).values(purged_at=NOW))
    assert faults(sqlite, folder) == [("missing", 0)]


def test_a_line_that_nobody_understands_stops_no_sealer_and_is_told(
    sqlite: Database, folder: Path
) -> None:
    fill(sqlite, folder, 2)
    [path] = folder.iterdir()
    body = b'{"time":}'
    last = claimed(path.read_bytes().splitlines(keepends=True)[-1])
    digest = hashlib.sha256(last.encode() + body).hexdigest().encode()
    with path.open("ab") as file:
        file.write(b'{"digest":"%s",%s\n' % (digest, body[1:]))
    fill(sqlite, folder, 2)
    assert Sealer(sqlite, folder, clock).seal() == 7
    assert faults(sqlite, folder) == [("index", 0)]


def test_a_fault_says_whether_somebody_did_it() -> None:
    assert Fault("altered", "a", 1, "").tampering
    assert not Fault("torn", "a", 1, "").tampering
