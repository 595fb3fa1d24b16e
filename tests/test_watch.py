from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.source import Source
from gateway.store.audit import Event, Journal
from gateway.store.database import Database, now_micros
from gateway.watch import Watch
from tests.flow.office import Desk
from tests.receive.door import BODY, answer, message, rows

BAD = BODY.replace(b"332^NO", b"999^NO")
MINUTE = 60_000_000


def _hold(database: Database, folder: Path, *urgencies: str, **source: Any) -> int:
    """Hold one message for each urgency; returns when."""
    for number, urgency in enumerate(urgencies):
        body = BAD.replace(b"IG-9", b"IG-%d" % number)
        answer(database, message(f"H{number}-{urgency}", body), Source("lab", **source))
    Desk(database, folder).work()
    at = now_micros()
    with database.write() as connection:
        for number, urgency in enumerate(urgencies, 1):
            connection.exec_driver_sql(
                f"UPDATE part SET urgency = '{urgency}', changed_at = {at} WHERE key = {number}"
            )
    assert {row.state for row in rows(database, "SELECT state FROM part")} == {"held"}
    return at


def _look(database: Database, at: int, caplog: pytest.LogCaptureFixture) -> list[Any]:
    caplog.clear()
    Watch(database, Settings(), lambda: at).look()
    return [one for one in caplog.records if one.name == "gateway.watch"]


def test_each_urgency_has_its_own_limit(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(database, tmp_path, "stat", "urgent", "routine", "unheard-of")
    due = {}
    for minutes in (59, 60, 239, 240, 1439, 1440):
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE part SET alerted_at = NULL")
        found = _look(database, at + minutes * MINUTE, caplog)
        due[minutes] = [one.urgency for one in found]
    assert due == {
        59: [], 60: ["stat"], 239: ["stat"], 240: ["stat", "urgent"], 1439: ["stat", "urgent"],
        1440: ["stat", "urgent", "routine", "unheard-of"],
    }  # fmt: skip


def test_an_overdue_part_is_reported_once_in_each_interval(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(database, tmp_path, "stat")
    reported = [bool(_look(database, at + minutes * MINUTE, caplog))
                for minutes in (30, 60, 61, 119, 120, 121, 180)]  # fmt: skip
    assert reported == [False, True, False, False, True, False, True]


def test_the_line_says_where_to_look_and_nothing_else(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(sqlite, tmp_path, "stat")
    (line,) = _look(sqlite, at + 60 * MINUTE, caplog)
    assert line.levelno == logging.WARNING
    assert (line.message_key, line.source, line.sender, line.urgency) == (
        1, "lab", "igene", "stat",
    )  # fmt: skip
    assert line.reason == rows(sqlite, "SELECT reason FROM part")[0].reason


def test_a_part_that_is_held_anew_waits_anew(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(sqlite, tmp_path, "stat")
    assert _look(sqlite, at + 60 * MINUTE, caplog)
    with sqlite.write() as connection:
        connection.exec_driver_sql(f"UPDATE part SET changed_at = {at + 61 * MINUTE}")
    assert not _look(sqlite, at + 120 * MINUTE, caplog)
    assert _look(sqlite, at + 121 * MINUTE, caplog)


@pytest.mark.parametrize("state", ["received", "waiting", "filed", "rejected"])
def test_only_what_is_held_is_reported(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    at = _hold(sqlite, tmp_path, "stat")
    with sqlite.write() as connection:
        connection.exec_driver_sql(f"UPDATE part SET state = '{state}'")
    assert not _look(sqlite, at + 90 * MINUTE, caplog)


def test_history_that_is_loaded_back_is_not_reported(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(sqlite, tmp_path, "stat", back_load=True)
    assert not _look(sqlite, at + 90 * MINUTE, caplog)


def test_more_than_one_lot_is_reported_in_one_look(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("gateway.store.overdue._STEP", 2)
    at = _hold(sqlite, tmp_path, *["stat"] * 5)
    assert len(_look(sqlite, at + 90 * MINUTE, caplog)) == 5


def test_two_processes_report_a_part_once(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = _hold(database, tmp_path, *["stat"] * 3) + 90 * MINUTE
    other = Database(database.url.render_as_string(hide_password=False))
    watches = [Watch(one, Settings(), lambda: at) for one in (database, other)]
    threads = [threading.Thread(target=watch.look) for watch in watches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len([one for one in caplog.records if one.name == "gateway.watch"]) == 3


def test_the_watch_goes_on_when_the_store_is_down(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE part RENAME TO away")
    watch = Watch(sqlite, Settings(), now_micros)
    watch.start()
    for _ in range(600):
        if "tried again" in caplog.text:
            break
        threading.Event().wait(0.05)
    watch.stop()
    assert "tried again" in caplog.text


def test_what_processes_recorded_is_sealed_by_the_watch(sqlite: Database, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "audit", sqlite)
    journal.record(Event(1, "client", "read", "Patient/x", 200))
    watch = Watch(sqlite, Settings(data=tmp_path), now_micros)
    assert (watch.seal(), watch.seal()) == (2, 0)
    journal.close()
