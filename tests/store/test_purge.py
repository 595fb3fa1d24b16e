"""Retention empties bytes and nothing else, in small steps, while messages come."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.pipeline.acknowledge import Acknowledger
from gateway.store.database import Database, now_micros
from gateway.store.purge import Purged, Retention, due, purge
from tests.flow.office import Desk
from tests.flow.test_versions import _message

DAY = 86_400_000_000
KEEP = Retention(30, 90)


def never() -> bool:
    return False


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    made = Desk(database, tmp_path)
    for number, person in enumerate(demo._PEOPLE):
        assert made.send(demo._patient(*person, number))["state"] == "filed"
    return made


def _purge(desk: Desk, days: int, retention: Retention = KEEP) -> Purged:
    """Purge as if so many days had passed."""
    now = now_micros() + days * DAY
    counted = due(desk.database, retention, now)
    assert purge(desk.database, retention, now, never) == counted
    return counted


def _emptied(desk: Desk) -> list[str]:
    query = "SELECT control_id FROM message WHERE purged_at IS NOT NULL ORDER BY key"
    assert desk.rows("SELECT 1 FROM message WHERE purged_at IS NOT NULL AND length(raw) > 0") == []
    return [row.control_id for row in desk.rows(query)]


def test_filed_messages_are_emptied_and_still_known(desk: Desk) -> None:
    report = demo._negative("N1", "LRI-2", demo._PEOPLE[1])
    desk.send(report)
    assert _purge(desk, 29) == Purged(0, 0)
    assert _purge(desk, 31) == Purged(5, 0)
    assert _purge(desk, 31) == Purged(0, 0)
    assert "N1" in _emptied(desk)
    row = desk.send(report)
    assert row["state"] == "duplicate"
    assert b"MSA|AA|N1" in row["reply"]
    assert len(desk.resources("DiagnosticReport")) == 1


def test_held_and_waiting_messages_are_never_touched(desk: Desk) -> None:
    held = demo._negative("H1", "LRI-3", ("0707411114", "Unknown^Isla", "19410707", "F"))
    assert desk.send(held)["state"] == "held"
    desk.accept(demo._negative("W1", "LRI-4", demo._PEOPLE[0]))
    _purge(desk, 400)
    assert not {"H1", "W1"} & set(_emptied(desk))


def test_what_is_owed_or_was_decided_lately_is_kept(desk: Desk) -> None:
    for number in (1, 2):
        desk.send(demo._negative(f"N{number}", f"LRI-{number}", demo._PEOPLE[1]))
    old = {"at": now_micros() - 40 * DAY}
    with desk.database.write() as connection:
        connection.execute(text("UPDATE message SET received_at = :at"), old)
        connection.execute(text("UPDATE edition SET received_at = :at"), old)
        connection.execute(text("UPDATE part SET changed_at = :at WHERE key < (SELECT max(key)"
                                " FROM part)"), old)  # fmt: skip
        connection.execute(text("UPDATE message SET application_wanted = 'AL'"
                                " WHERE control_id = 'N1'"))  # fmt: skip
    _purge(desk, 0)
    assert len(_emptied(desk)) == 4
    assert not {"N1", "N2"} & set(_emptied(desk))
    owed = Acknowledger(desk.database, lambda: "A", now_micros)
    ((key, reply),) = owed.due("test")
    assert b"MSA|AA|N1" in reply
    owed.settle(key)
    _purge(desk, 31)
    assert {"N1", "N2"} <= set(_emptied(desk))


def test_a_version_whose_bytes_are_gone_holds_what_needs_them(desk: Desk) -> None:
    assert desk.send(_message("P", "LRI-8", 1))["state"] == "filed"
    _purge(desk, 31)
    row = desk.send(_message("U", "LRI-8", 2))  # makes final what came before
    assert (row["state"], row["reason"]) == ("held", "report-order")
    assert "cannot be read any more" in row["detail"][0]["text"]


def test_an_earlier_version_is_kept_while_its_report_is_young(desk: Desk) -> None:
    desk.send(demo._germline("G1", "LRI-1", demo._PEOPLE[0], "20260302101500", "F", "See."))
    with desk.database.write() as connection:
        old = {"at": now_micros() - 40 * DAY}
        connection.execute(text("UPDATE message SET received_at = :at"), old)
        connection.execute(text("UPDATE edition SET received_at = :at"), old)
    desk.send(demo._germline("G2", "LRI-1", demo._PEOPLE[0], "20260309090000", "C", "Mended."))
    _purge(desk, 0)
    assert "G1" not in _emptied(desk)
    _purge(desk, 31)
    assert {"G1", "G2"} <= set(_emptied(desk))


def test_refused_messages_and_repeats_have_a_time_of_their_own(desk: Desk) -> None:
    report = demo._negative("N1", "LRI-2", demo._PEOPLE[1])
    desk.send(report)
    desk.send(report)
    desk.accept(b"hello")
    assert _purge(desk, 80, Retention(0, 90)) == Purged(0, 0)
    assert _purge(desk, 91, Retention(0, 90)) == Purged(0, 2)
    assert _purge(desk, 400, Retention(0, 0)) == Purged(0, 0)


def test_a_purge_goes_in_small_steps_while_messages_come(desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(text(
            "INSERT INTO message (received_at, source, sender, sending_application,"
            " sending_facility, control_id, type, charset, raw, answer, reply, state, reason,"
            " control_id_reused) SELECT 1, source, sender, sending_application,"
            " sending_facility, '', type, charset, raw, answer, reply, 'rejected', '', false"
            " FROM message ORDER BY key LIMIT 1"
        ))  # fmt: skip
        for _ in range(11):
            connection.execute(text(
                "INSERT INTO message (received_at, source, sender, sending_application,"
                " sending_facility, control_id, type, charset, raw, answer, reply, state, reason,"
                " control_id_reused) SELECT 1, source, sender, sending_application,"
                " sending_facility, '', type, charset, raw, answer, reply, 'rejected', '', false"
                " FROM message WHERE state = 'rejected'"
            ))  # fmt: skip
    stop, answered = threading.Event(), []

    def send() -> None:
        while not stop.is_set():
            number = len(answered)
            reply = desk.accept(demo._negative(f"M{number}", f"R{number}", demo._PEOPLE[0]))
            answered.append(b"MSA|AA|" in reply)

    sending = threading.Thread(target=send)
    sending.start()
    before = len(answered)
    found = purge(desk.database, KEEP, now_micros(), never)
    stop.set()
    sending.join()
    assert found == Purged(0, 2048)
    assert len(answered) > before
    assert all(answered)


def test_a_purge_that_is_told_to_stop_stops(desk: Desk) -> None:
    assert purge(desk.database, KEEP, now_micros() + 100 * DAY, lambda: True) == Purged(0, 0)
