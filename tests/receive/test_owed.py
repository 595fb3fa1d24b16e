"""Application acknowledgements: what became of a message, over any connection of its source."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway import demo
from gateway.config import Settings
from gateway.pipeline.accept import Intake
from gateway.pipeline.acknowledge import Acknowledger
from gateway.receive.mllp import MllpListener
from gateway.store.database import Database, now_micros
from gateway.store.inbox import Inbox
from tests.flow.office import Desk
from tests.receive.door import Client, field, mappings, message, rows

CALLUM = demo._PEOPLE[2]


@pytest.fixture
def listener(database: Database) -> MllpListener:
    made = MllpListener("127.0.0.1", 0, _intake(database), Settings(), now_micros)
    made.start()
    yield made
    made.stop()


def _intake(database: Database) -> Intake:
    acknowledger = Acknowledger(database, lambda: "OURS", now_micros)
    return Intake(Inbox(database), mappings(), lambda: "OURS", acknowledger=acknowledger)


def _report(control_id: str, modes: str, person: tuple[str, ...] = CALLUM) -> bytes:
    raw = message(control_id, rest=f"|||{modes}")
    pid = f"PID|1||{person[0]}^^^CHI||{person[1]}||{person[2]}|{person[3]}"
    return b"\r".join(
        pid.encode() if line.startswith(b"PID") else line.replace(b"IG-9", control_id.encode())
        for line in raw.split(b"\r")
    )


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*CALLUM, 1))["state"] == "filed"
    return opened


def _told(reply: bytes) -> tuple[str, str]:
    return field(reply, "MSA", 1), field(reply, "MSA", 2)


def test_the_application_acknowledgement_comes_when_the_work_is_done(
    listener: MllpListener, desk: Desk
) -> None:
    with Client(listener.port) as client:
        assert _told(client.ask(_report("C1", "AL|AL"))) == ("CA", "C1")
        desk.work()
        assert _told(client.reply()) == ("AA", "C1")
        for _ in range(200):  # it is noted just after it was sent
            owed = rows(desk.database, "SELECT 1 FROM message WHERE application_wanted <> ''")
            if not owed:
                break
            time.sleep(0.05)
        assert not owed


def test_what_is_held_is_told_with_its_place_and_nothing_of_its_content(
    listener: MllpListener, desk: Desk
) -> None:
    stranger = ("1904851231", "Nobody^Known", "19850419", "F")
    with Client(listener.port) as client:
        assert _told(client.ask(_report("C1", "AL|ER", stranger))) == ("CA", "C1")
        desk.work()
        reply = client.reply()
        assert _told(reply) == ("AE", "C1")
        assert field(reply, "ERR", 1).startswith("PID^1^3")
        assert b"1904851231" not in reply
        assert b"Nobody" not in reply


@pytest.mark.parametrize(
    ("modes", "filed"), [("AL|ER", True), ("AL|SU", False), ("AL|NE", True)], ids=str
)
def test_what_nobody_wants_to_hear_is_not_said(
    listener: MllpListener, desk: Desk, modes: str, filed: bool
) -> None:
    stranger = ("1904851231", "Nobody^Known", "19850419", "F")
    with Client(listener.port) as client:
        client.ask(_report("C1", modes, CALLUM if filed else stranger))
        client.ask(_report("C2", "AL|AL"))
        desk.work()
        assert _told(client.reply())[1] == "C2"


def test_only_the_application_acknowledgement_is_sent_where_no_other_is_wanted(
    listener: MllpListener, desk: Desk
) -> None:
    with Client(listener.port) as client:
        client.send(b"\x0b" + _report("C1", "NE|AL") + b"\x1c\r")
        while not rows(desk.database, "SELECT 1 FROM message WHERE control_id = 'C1'"):
            time.sleep(0.01)
        desk.work()
        assert _told(client.reply()) == ("AA", "C1")


def test_it_comes_over_a_later_connection_and_after_a_restart(
    listener: MllpListener, desk: Desk
) -> None:
    with Client(listener.port) as client:
        assert _told(client.ask(_report("C1", "AL|AL"))) == ("CA", "C1")
    listener.stop()
    desk.work()
    again = MllpListener("127.0.0.1", 0, _intake(desk.database), Settings(), now_micros)
    again.start()
    try:
        with Client(again.port) as client:
            assert _told(client.reply()) == ("AA", "C1")
            # A sender may acknowledge it in turn: nobody answers that.
            client.send(b"\x0bMSH|^~\\&|IGENE|GLASGOW|||1||ACK|X1|P|2.3\rMSA|CA|OURS\r\x1c\r")
            assert client.replies_until_closed() == []
    finally:
        again.stop()
