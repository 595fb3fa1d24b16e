"""The listener is killed under load: what was acknowledged is stored, always."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.database import Database
from gateway.store.schema import upgrade
from gateway.wire.mllp import wrap
from tests.conftest import need
from tests.receive.door import MAPPINGS, Client, codes, field, message, rows

SENDERS = 6
LISTENER = """
import os, sys, uuid
from pathlib import Path
from gateway.config import Settings
from gateway.pipeline.accept import Intake
from gateway.receive.mllp import MllpListener
from gateway.store import schema
from gateway.store.database import Database, now_micros
from gateway.store.inbox import Inbox
from gateway.translate.mapping import load_mappings

database = Database(sys.argv[1])
schema.upgrade(database)
intake = Intake(Inbox(database), load_mappings(Path(sys.argv[2])), lambda: uuid.uuid4().hex[:20])
listener = MllpListener("127.0.0.1", 0, intake, Settings(), now_micros)
listener.start()
print(listener.port, flush=True)
sys.stdin.read()  # ends with the test, also under a tracer that was killed before it
os._exit(0)
"""


@contextmanager
def _listener(url: str, *before: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [*before, sys.executable, "-c", LISTENER, url, str(MAPPINGS)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=MAPPINGS.parent
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.communicate(timeout=30)


class _Sender(threading.Thread):
    """Sends numbered messages one after another until the other side is gone."""

    def __init__(self, number: int, port: int, first: int, reached: threading.Semaphore) -> None:
        super().__init__()
        self.number, self.port, self.at, self.reached = number, port, first, reached
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        try:
            with Client(self.port) as client:
                while reply := client.ask(message(f"S{self.number}-{self.at}")):
                    assert codes(reply)[0] == "AA"
                    self.acknowledged[field(reply, "MSA", 2)] = reply
                    self.at += 1
                    self.reached.release()
        except OSError:
            return


def _kill_under_load(url: str, first: Sequence[int], enough: int) -> list[_Sender]:
    reached = threading.Semaphore(0)
    with _listener(url) as (process, port):
        senders = [_Sender(n, port, first[n], reached) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(enough):
            assert reached.acquire(timeout=60)
        process.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    return senders


def test_what_was_acknowledged_survives_kill_after_kill(database_url: str) -> None:
    acknowledged: dict[str, bytes] = {}
    first = [0] * SENDERS
    for round_ in range(3):
        senders = _kill_under_load(database_url, first, 60 + 25 * round_)
        for sender in senders:
            acknowledged |= sender.acknowledged
        first = [sender.at for sender in senders]  # the one in flight is sent again
    database = Database(database_url)
    stored = {row.control_id: bytes(row.reply) for row in rows(database) if row.state == "accepted"}
    lost = acknowledged.keys() - stored.keys()
    assert not lost
    assert len(acknowledged) >= 60
    assert all(stored[number] == reply for number, reply in acknowledged.items())
    parts = rows(database, "SELECT message_key, count(*) FROM part GROUP BY message_key")
    assert {count for _, count in parts} == {1}
    assert len(parts) == len(stored)
    database.close()


def test_a_message_stored_but_not_acknowledged_is_work_once(database_url: str) -> None:
    senders = _kill_under_load(database_url, [0] * SENDERS, 30)
    with _listener(database_url) as (_, port), Client(port) as client:
        for sender in senders:
            reply = client.ask(message(f"S{sender.number}-{sender.at}"))
            assert codes(reply)[0] == "AA"
    database = Database(database_url)
    accepted = [row.control_id for row in rows(database) if row.state == "accepted"]
    assert len(accepted) == len(set(accepted))
    assert len(rows(database, "SELECT 1 FROM part")) == len(accepted)
    database.close()


def test_sqlite_syncs_between_the_message_and_its_acknowledgement(tmp_path: Path) -> None:
    need("strace", shutil.which("strace") is not None)
    trace = tmp_path / "trace"
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    database = Database(url)
    upgrade(database)
    database.close()
    calls = "trace=recvfrom,sendto,fdatasync,fsync"
    with _listener(url, "strace", "-f", "-s", "500", "-o", str(trace), "-e", calls) as (_, port):
        with Client(port) as client:
            for number in range(5):
                assert codes(client.ask(message(f"C{number}")))[0] == "AA"
        with Client(port) as client:
            client.send(wrap(b"goodbye"))
            assert client.replies_until_closed()
    witness = "".join(
        {"r": "R", "f": "F", "s": "S"}[found[1]]
        for line in trace.read_text().splitlines()
        if (
            found := re.match(
                r"\d+ +(r|f|s)(?:ecvfrom\(.*MSH\||datasync|sync|endto\(.*MSA\|AA)", line
            )
        )
    )
    assert re.sub("F+", "F", witness).count("RFS") == 5, witness


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_that_goes_and_comes_back_loses_nothing(
    request: pytest.FixtureRequest, mode: str
) -> None:
    running = request.getfixturevalue("postgres_cluster")
    url = running.url(f"restart_{mode}")
    with _listener(url) as (_, port), Client(port) as client:
        assert codes(client.ask(message("C1")))[0] == "AA"
        running.stop(mode)
        try:
            for _ in range(3):
                assert codes(client.ask(message("C2"))) == ("AE", "207")
        finally:
            running.start()
        assert codes(client.ask(message("C2")))[0] == "AA"
        assert codes(client.ask(message("C1")))[0] == "AA"
    database = Database(url)
    assert [(row.control_id, row.state) for row in rows(database)] == [
        ("C1", "accepted"), ("C2", "accepted"), ("C1", "duplicate"),
    ]  # fmt: skip
    database.close()
