"""Much of everything: idle connections, one huge message, many segments, a long backlog.

    python -m benchmarks.soak.large idle|huge|segments|backlog [--count N] [--postgres]

Each starts `gateway listen` (and `work`) on an empty database, prints what it saw and exits 1
when an answer was not AA or memory was not bounded.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.soak import kill
from benchmarks.soak.steady import size
from gateway import demo
from gateway.store import schema
from gateway.store.database import Database
from gateway.wire.mllp import send
from tests import postgres

HOST = kill.HOST
SENDERS = 20
BOUND_MB = 400.0
CALLUM = demo._PEOPLE[2]


class Gateway:
    """A listener and a worker as processes of their own, on one empty database."""

    def __init__(self, url: str) -> None:
        folder, self.port = tempfile.mkdtemp(), postgres.free_port()
        self.environment = kill.environment_for(url, folder, self.port)
        self.environment["GATEWAY_MLLP_CONNECTIONS"] = "1200"
        self.database = Database(url or f"sqlite:///{folder}/gateway.db")
        schema.upgrade(self.database)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        command = [sys.executable, "-m", "gateway.cli", role]
        self.running[role] = subprocess.Popen(command, env=self.environment)
        for _ in range(400):
            if role != "listen" or _answers(self.port):
                return
            time.sleep(0.05)
        raise SystemExit("the listener did not start")

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
            process.wait()

    def memory(self, role: str) -> tuple[float, int]:
        return size(self.running[role].pid)

    def send_all(self, raws: Iterator[bytes] | list[bytes]) -> int:
        answers = list(send(HOST, self.port, raws, 300))
        if not all(b"MSA|AA|" in one for one in answers):
            raise SystemExit("not accepted")
        return len(answers)

    def count(self, what: str) -> int:
        return kill.count(self.database, what)

    def wait_until_done(self, seconds: float) -> float:
        began = time.monotonic()
        while self.count("part WHERE state IN ('received', 'waiting')"):
            if time.monotonic() - began > seconds:
                raise SystemExit("not filed in time")
            time.sleep(0.2)
        return time.monotonic() - began


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def gateway(url: str, *roles: str) -> Iterator[Gateway]:
    made = Gateway(url)
    try:
        for role in roles:
            made.start(role)
        yield made
    finally:
        made.stop()
        made.database.close()


def idle(url: str, count: int) -> bool:
    """A thousand idle connections, and one that works."""
    with gateway(url, "listen") as running:
        before = running.memory("listen")
        quiet = [socket.create_connection((HOST, running.port), 30) for _ in range(count or 1000)]
        began = time.monotonic()
        done = running.send_all([demo._negative(f"I{n}", f"R{n}", CALLUM) for n in range(200)])
        took = time.monotonic() - began
        memory, descriptors = running.memory("listen")
        for one in quiet:
            one.close()
        print(
            f"{len(quiet)} idle connections: {before[0]:.0f} MB, {before[1]} descriptors before,"
            f" {memory:.0f} MB, {descriptors} descriptors with them;"
            f" {done} messages meanwhile in {took:.1f} s"
        )
        return memory < BOUND_MB


def huge(url: str, count: int) -> bool:
    """One message just below the limit of 50 MB."""
    raw = demo._negative("H1", "R1", CALLUM)
    raw += b"NTE|1||" + b"x" * ((count or 49_900_000) - len(raw) - 8) + b"\r"
    return _one(url, raw, f"a message of {len(raw) / 1e6:.1f} MB", 900)


def segments(url: str, count: int) -> bool:
    """One message of a hundred thousand segments."""
    lines = b"".join(b"NTE|%d||line %d\r" % (n, n) for n in range(1, (count or 100_000) + 1))
    raw = demo._negative("H1", "R1", CALLUM) + lines
    return _one(url, raw, f"a message of {raw.count(13):,} segments", 300)


def _one(url: str, raw: bytes, what: str, bound: float) -> bool:
    with gateway(url, "listen", "work") as running:
        running.send_all([demo._patient(*CALLUM, 1)])
        running.wait_until_done(60)
        began = time.monotonic()
        running.send_all([raw])
        accepted = time.monotonic() - began
        filed = running.wait_until_done(600)
        listener, worker = running.memory("listen")[0], running.memory("work")[0]
        states = running.count("part WHERE state = 'filed'"), running.count("part")
        print(
            f"{what}: AA after {accepted:.1f} s, done {filed:.1f} s later, {states[0]} of"
            f" {states[1]} parts filed; listener {listener:.0f} MB, worker {worker:.0f} MB"
        )
        return listener < bound and worker < bound


def backlog(url: str, count: int) -> bool:
    """Messages pile up without a worker; then workers start, and acknowledgements flow at once."""
    total = count or 100_000
    with gateway(url, "listen") as running:
        running.send_all([demo._patient(*one, n) for n, one in enumerate(demo._PEOPLE)])
        began = time.monotonic()
        _in_parallel(running, total)
        piled = time.monotonic() - began
        running.stop()
        running.start("listen")
        running.start("work")
        began = time.monotonic()
        running.send_all([demo._negative("AFTER", "RAFTER", CALLUM)])
        first = time.monotonic() - began
        time.sleep(60)
        filed = running.count("part WHERE state = 'filed'")
        listener, worker = running.memory("listen")[0], running.memory("work")[0]
        print(
            f"a backlog of {total:,}: accepted in {piled:.0f} s; after the restart the first AA in"
            f" {first:.2f} s, {filed} filed in the first minute, listener {listener:.0f} MB,"
            f" worker {worker:.0f} MB"
        )
        return first < 5 and filed > 0 and worker < BOUND_MB


def _in_parallel(running: Gateway, total: int) -> None:
    def some(first: int) -> None:
        running.send_all(
            demo._negative(f"B{n}", f"R{n}", demo._PEOPLE[n % 4])
            for n in range(first, total, SENDERS)
        )

    threads = [threading.Thread(target=some, args=(n,)) for n in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if running.count("message WHERE state = 'accepted'") < total:
        raise SystemExit("some were not accepted")


RUNS: dict[str, Callable[[str, int], bool]] = {
    "idle": idle, "huge": huge, "segments": segments, "backlog": backlog,
}  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", choices=sorted(RUNS))
    options.add_argument("--count", type=int, default=0)
    options.add_argument("--postgres", action="store_true")
    given = options.parse_args()
    os.environ.setdefault("GATEWAY_LOG_LEVEL", "error")
    if not given.postgres:
        raise SystemExit(0 if RUNS[given.run]("", given.count) else 1)
    with postgres.cluster() as cluster:
        raise SystemExit(0 if RUNS[given.run](cluster.url("soak"), given.count) else 1)


if __name__ == "__main__":
    main()
