"""SIGKILL of everything `gateway up` starts, again and again, under many senders.

    python -m benchmarks.soak.kill [--kills 20] [--senders 20] [--postgres]

What was acknowledged must be stored, and every part filed once. Results are in README.md here.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from gateway import demo
from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.wire.mllp import send
from tests import postgres

HOST = "127.0.0.1"
DRAIN_SECONDS = 1800


class Sender(threading.Thread):
    """Sends negative reports one after another; after a loss the same one goes again."""

    def __init__(self, number: int, port: int, stop: threading.Event) -> None:
        super().__init__()
        self.number, self.port, self.stop, self.at = number, port, stop, 0
        self.acknowledged: set[str] = set()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                for reply in send(HOST, self.port, self._messages(), 5):
                    self._note(reply)
            except StoreUnavailable:
                time.sleep(0.05)

    def _messages(self) -> Iterator[bytes]:
        person = demo._PEOPLE[self.number % 4]
        while not self.stop.is_set():
            yield demo._negative(f"S{self.number}-{self.at}", f"R{self.number}-{self.at}", person)

    def _note(self, reply: bytes) -> None:
        if b"MSA|AA|" in reply:
            self.acknowledged.add(reply.split(b"MSA|AA|")[1].split(b"\r")[0].decode())
            self.at += 1


def start(environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gateway.cli", "up"]
    running = subprocess.Popen(command, env=environment, start_new_session=True)
    for _ in range(2400):
        try:
            list(send(HOST, port, []))
        except StoreUnavailable:
            time.sleep(0.05)
        else:
            return running
    raise SystemExit("the gateway did not start")


def environment_for(url: str, folder: str, port: int) -> dict[str, str]:
    http = postgres.free_port()
    return os.environ | {
        "GATEWAY_DATA": folder, "GATEWAY_DATABASE": url, "GATEWAY_MLLP_PORT": str(port),
        "GATEWAY_PORT": str(http), "GATEWAY_BASE_URL": f"http://{HOST}:{http}",
        "GATEWAY_LOG_LEVEL": "error", "GATEWAY_LEASE_SECONDS": "2",
    }  # fmt: skip


def soak(url: str, kills: int, many: int) -> bool:
    folder, port = tempfile.mkdtemp(), postgres.free_port()
    environment = environment_for(url, folder, port)
    running = start(environment, port)
    for number, person in enumerate(demo._PEOPLE):
        list(send(HOST, port, [demo._patient(*person, number)]))
    stop = threading.Event()
    senders = [Sender(number, port, stop) for number in range(many)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        time.sleep(3)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running = start(environment, port)
    stop.set()
    for sender in senders:
        sender.join()
    fine = verdict(url, folder, set().union(*(sender.acknowledged for sender in senders)))
    running.terminate()
    running.wait()
    return fine


def verdict(url: str, folder: str, acknowledged: set[str]) -> bool:
    database = Database(url or f"sqlite:///{folder}/gateway.db")
    began = time.monotonic()
    while count(database, "part WHERE state IN ('received', 'waiting')"):
        if time.monotonic() - began > DRAIN_SECONDS:
            break
        time.sleep(0.5)
    drained = time.monotonic() - began
    with database.read() as connection:
        stored = set(
            connection.execute(
                text("SELECT control_id FROM message WHERE state = 'accepted'")
            ).scalars()
        )
    figures: dict[str, Any] = {
        "acknowledged": len(acknowledged), "lost": len(acknowledged - stored),
        "parts not filed": count(database, "part WHERE state <> 'filed'"),
        "reports": count(database, "resource WHERE type = 'DiagnosticReport'"),
        "reports written twice": count(
            database, "resource WHERE type = 'DiagnosticReport' AND version > 1"),
        "messages for them": len(stored) - len(demo._PEOPLE),
        "drained in s": round(drained, 1),
    }  # fmt: skip
    print("PostgreSQL" if url else "SQLite", figures, flush=True)
    return (
        figures["lost"] == figures["parts not filed"] == figures["reports written twice"] == 0
        and figures["reports"] == figures["messages for them"]
    )


def count(database: Database, what: str) -> int:
    with database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    if given.postgres:
        with postgres.cluster() as cluster:
            fine = soak(cluster.url("soak"), given.kills, given.senders)
    else:
        fine = soak("", given.kills, given.senders)
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
