"""Workers are killed, cut off and starved: every part is filed once, and in order."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import event, text

from gateway import demo
from gateway.store.database import Database
from gateway.store.schema import upgrade
from tests.flow.office import Desk
from tests.receive.door import codes

REPORTS = 12
VERSIONS = ("P", "F", "C")
STATUSES = ["preliminary", "final", "corrected"]


def _version(report: int, order: int) -> bytes:
    """One version of a report; the clock rises with the order."""
    person = demo._PEOPLE[report % len(demo._PEOPLE)]
    when = f"2026030{order + 1}101500"
    return "\r".join([
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||{when}||ORU^R01^ORU_R01|M{report}-{order}|P|2.5.1",
        f"PID|1||{person[0]}^^^CHI^NH||{person[1]}||{person[2]}|{person[3]}",
        f"OBR|1||REP-{report}|R208.1^Panel^England-GenomicTestDirectory|||20260210"
        f"|||||||||||||||{when}||GE|{VERSIONS[order]}",
        f"OBX|1|CWE|48004-6^^LN|2a|NM_000059.4:c.{100 + report}del^^HGVS.c||||||{VERSIONS[order]}",
    ]).encode() + b"\r"  # fmt: skip


def _backlog(desk: Desk) -> None:
    for number, person in enumerate(demo._PEOPLE):
        assert desk.send(demo._patient(*person, number))["state"] == "filed"
    for order in range(len(VERSIONS)):
        for report in range(REPORTS):
            assert codes(desk.accept(_version(report, order)))[0] == "AA"


def _start_worker(url: str, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "GATEWAY_DATABASE": url, "GATEWAY_DATA": str(folder), "GATEWAY_LEASE_SECONDS": "1",
        "GATEWAY_RETRY_SECONDS": "0.2", "GATEWAY_LOG_LEVEL": "error",
    }  # fmt: skip
    environment.pop("TESTS_REQUIRE", None)
    command = [sys.executable, "-m", "gateway.cli", "work"]
    return subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2])


def _filed(database: Database) -> int:
    with database.read() as connection:
        query = text("SELECT count(*) FROM part WHERE state = 'filed'")
        return int(connection.execute(query).scalar_one())


def _wait_until_filed(database: Database, enough: int) -> None:
    for _ in range(2400):
        if _filed(database) >= enough:
            return
        time.sleep(0.05)
    raise AssertionError(f"only {_filed(database)} of {enough} parts were filed")


def _check_all_is_filed_once_and_in_order(database: Database) -> None:
    with database.read() as connection:
        states = connection.execute(text("SELECT state, count(*) FROM part GROUP BY state")).all()
        history = connection.execute(text(
            "SELECT r.id, v.body FROM resource r JOIN (SELECT resource_key, version, body"
            " FROM resource_version UNION ALL SELECT key, version, body FROM resource) v"
            " ON v.resource_key = r.key WHERE r.type = 'DiagnosticReport' ORDER BY r.id, v.version"
        )).all()  # fmt: skip
    assert [tuple(row) for row in states] == [
        ("filed", REPORTS * len(VERSIONS) + len(demo._PEOPLE))
    ]
    reports: dict[str, list[str]] = {}
    for id_, body in history:
        reports.setdefault(id_, []).append(orjson.loads(body)["status"])
    assert list(reports.values()) == [STATUSES] * REPORTS


def test_workers_that_are_killed_file_everything_once_and_in_order(
    database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    upgrade(database)
    _backlog(Desk(database, tmp_path))
    chance = random.Random(7)
    for enough in (8, 16, 24):
        workers = [_start_worker(database_url, tmp_path) for _ in range(2)]
        _wait_until_filed(database, enough)
        time.sleep(chance.random() * 0.1)
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    last = _start_worker(database_url, tmp_path)
    _wait_until_filed(database, REPORTS * len(VERSIONS) + len(demo._PEOPLE))
    last.terminate()
    assert last.wait(30) == 0
    _check_all_is_filed_once_and_in_order(database)
    database.close()


def test_connections_cut_in_the_middle_of_the_work_lose_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_cluster").url("cut")
    database, other = Database(url), Database(url)
    upgrade(database)
    _backlog(Desk(database, tmp_path))
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.15):
            with other.read() as connection:
                connection.execute(text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND state LIKE '%transaction%'"
                ))  # fmt: skip

    cutting = threading.Thread(target=cut)
    cutting.start()
    worker = _start_worker(url, tmp_path)
    try:
        _wait_until_filed(database, REPORTS)
        stop.set()
        cutting.join()
        _wait_until_filed(database, REPORTS * len(VERSIONS) + len(demo._PEOPLE))
    finally:
        stop.set()
        worker.terminate()
        assert worker.wait(30) == 0
    _check_all_is_filed_once_and_in_order(database)
    database.close()
    other.close()


def test_a_database_that_restarts_under_the_workers_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    running = request.getfixturevalue("postgres_cluster")
    url = running.url("restart_work")
    database = Database(url)
    upgrade(database)
    _backlog(Desk(database, tmp_path))
    worker = _start_worker(url, tmp_path)
    try:
        _wait_until_filed(database, 8)
        running.stop("immediate")
        running.start()
        _wait_until_filed(database, REPORTS * len(VERSIONS) + len(demo._PEOPLE))
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
    _check_all_is_filed_once_and_in_order(database)
    database.close()


class _Store:
    """Sets a pragma on every connection of a database, those to come as well."""

    def __init__(self, database: Database) -> None:
        self.connections: list[Any] = []
        self.pragma = ""
        database.close()
        for engine in (database._engine, database._writer):
            event.listen(engine, "connect", self._connected)

    def _connected(self, connection: Any, _record: Any) -> None:
        self.connections.append(connection)
        if self.pragma:
            connection.execute(self.pragma)

    def limit(self, pragma: str) -> None:
        self.pragma = pragma
        for connection in self.connections:
            with suppress(sqlite3.ProgrammingError):  # closed since
                connection.execute(pragma)


def test_a_full_disk_refuses_and_recovers_without_a_restart(
    sqlite: Database, tmp_path: Path
) -> None:
    store, desk = _Store(sqlite), Desk(sqlite, tmp_path)
    for number, person in enumerate(demo._PEOPLE):
        assert desk.send(demo._patient(*person, number))["state"] == "filed"
    pages = desk.rows("PRAGMA page_count")[0][0]
    store.limit(f"PRAGMA max_page_count = {pages + 4}")
    large = b"NTE|1||" + b"x" * 500_000 + b"\r"
    for number in range(3):
        reply = desk.accept(_version(number, 0) + large)
        assert b"MSA|AE|" in reply
        assert b"|207^" in reply
    store.limit("PRAGMA max_page_count = 1000000")
    assert b"MSA|AA|" in desk.accept(_version(0, 0) + large)
    desk.work()
    assert desk.rows("SELECT state FROM part ORDER BY key DESC")[0].state == "filed"


def test_a_read_only_store_refuses_and_recovers_without_a_restart(
    sqlite: Database, tmp_path: Path
) -> None:
    store, desk = _Store(sqlite), Desk(sqlite, tmp_path)
    store.limit("PRAGMA query_only = 1")
    assert b"MSA|AE|" in desk.accept(_version(0, 0))
    store.limit("PRAGMA query_only = 0")
    assert b"MSA|AA|" in desk.accept(_version(0, 0))
