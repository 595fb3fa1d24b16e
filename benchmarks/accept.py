"""Durable accepts over MLLP, beside python-hl7's own asyncio server, which stores nothing.

    python -m benchmarks.accept [--postgres]

Each connection waits for its acknowledgement before it sends again. Rounds of the two servers
alternate; the median fdatasync of the same disk is measured between them.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import messages
from gateway.store import schema
from gateway.store.database import Database
from tests import postgres

HOST = "127.0.0.1"
ROUNDS = 3
ROUND_SECONDS = 3.0
CONNECTIONS = (1, 20, 100)
# DESIGN.md, "How good it must be".
OVER_FSYNC_MS = 0.3
PEER_RATIO = 5.0
# The rate at 100 connections beside that at 20.
NO_FALL = 0.95
PEER = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
import hl7
from hl7.mllp import start_hl7_server

async def handle(reader, writer):
    try:
        while not writer.is_closing():
            writer.writemessage((await reader.readmessage()).create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass

async def main():
    async with await start_hl7_server(handle, port=int(sys.argv[1]), host="127.0.0.1") as server:
        print("ready", flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """Run a server until its port answers, and stop it at the end."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            try:
                socket.create_connection((HOST, port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise SystemExit("a server did not start")
        yield port
    finally:
        process.terminate()
        process.wait()


class Sender(threading.Thread):
    """One connection in a closed loop; `seconds` holds the time of each answer."""

    def __init__(self, port: int, number: int, stop: float) -> None:
        super().__init__()
        self.port, self.number, self.stop = port, number, stop
        self.seconds: list[float] = []

    def run(self) -> None:
        before, after = messages.small().split(b"|B1|", 1)
        with socket.create_connection((HOST, self.port), 30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            at = 0
            while (began := time.perf_counter()) < self.stop:
                unique = f"|{self.number}.{at}.{began}|".encode()
                connection.sendall(b"\x0b" + before + unique + after + b"\x1c\r")
                reply = b""
                while not reply.endswith(b"\x1c\r"):
                    reply += connection.recv(65_536)
                if b"MSA|AA|" not in reply:
                    raise SystemExit("not accepted")
                self.seconds.append(time.perf_counter() - began)
                at += 1


def round_of(port: int, connections: int) -> tuple[float, float, float]:
    """Return answers per second, the median and the 99th percentile of their time in ms."""
    stop = time.perf_counter() + ROUND_SECONDS
    senders = [Sender(port, number, stop) for number in range(connections)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    times = sorted(one * 1e3 for sender in senders for one in sender.seconds)
    return len(times) / ROUND_SECONDS, times[len(times) // 2], times[len(times) * 99 // 100]


def fdatasync_ms(folder: str) -> float:
    """The median time in milliseconds to make 4 kB durable on this disk."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            file.write(os.urandom(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def engines() -> tuple[str, ...]:
    """SQLite, and PostgreSQL where its programs are installed."""
    return ("sqlite", "postgres") if postgres.programs() else ("sqlite",)


def main(engines: tuple[str, ...]) -> bool:
    """Print the table; whether every budget is met."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        met = True
        for engine in engines:
            if engine == "sqlite":
                met &= measure(engine, f"sqlite:///{folder}/gateway.db", folder)
            else:
                with postgres.cluster() as cluster:
                    met &= measure(engine, cluster.url("bench"), folder)
        return met


def measure(engine: str, url: str, folder: str) -> bool:
    database = Database(url)
    schema.upgrade(database)
    database.close()
    ours, peer = postgres.free_port(), postgres.free_port()
    environment = os.environ | {
        "GATEWAY_DATA": folder, "GATEWAY_DATABASE": url, "GATEWAY_MLLP_PORT": str(ours),
        "GATEWAY_LOG_LEVEL": "error",
    }  # fmt: skip
    command = [sys.executable, "-m", "gateway.cli", "listen"]
    with (
        running(command, ours, environment),
        running([sys.executable, "-c", PEER, str(peer)], peer, dict(os.environ)),
    ):
        return compare(engine, ours, peer, folder)


def compare(engine: str, ours: int, peer: int, folder: str) -> bool:
    met, alone, at_twenty = True, 0.0, 0.0
    for connections in CONNECTIONS:
        found: dict[str, list[tuple[float, float, float]]] = {"gateway": [], "python-hl7": []}
        syncs = []
        for _ in range(ROUNDS):
            syncs.append(fdatasync_ms(folder))
            found["gateway"].append(round_of(ours, connections))
            found["python-hl7"].append(round_of(peer, connections))
        rate, middle, late = (statistics.median(one) for one in zip(*found["gateway"], strict=True))
        peer_rate = statistics.median(one[0] for one in found["python-hl7"])
        sync = statistics.median(syncs)
        if connections == 1:
            alone = middle - sync
            fine = alone <= OVER_FSYNC_MS
            budget = f"{alone:.2f} ms over the fdatasync of {sync:.2f} ms (at most {OVER_FSYNC_MS})"
        else:
            ratio = rate / peer_rate
            fine = ratio >= PEER_RATIO if connections == 20 else rate >= NO_FALL * at_twenty
            at_twenty = at_twenty or rate
            budget = f"{ratio:.1f} x python-hl7's {peer_rate:.0f}"
        met &= fine
        print(
            f"{engine}, {connections} connections: {rate:.0f} per second, median {middle:.2f} ms,"
            f" p99 {late:.1f} ms; {budget}: {'met' if fine else 'missed'}"
        )
    return met


if __name__ == "__main__":
    wanted = ("postgres",) if "--postgres" in sys.argv else engines()
    raise SystemExit(0 if main(wanted) else 1)
