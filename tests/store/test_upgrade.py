"""A database of the release before, with a backlog, is upgraded: nothing is lost, work goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.store import schema
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk

_MESSAGE = text(
    "INSERT INTO message (received_at, source, sender, sending_application, sending_facility,"
    " control_id, type, charset, dedupe_key, raw, answer, reply, state, reason, control_id_reused)"
    " VALUES (:at, 'mllp:192.0.2.1', :sender, 'A', 'F', :control_id, 'ORU^R01', '', :dedupe, :raw,"
    " 'AA', :reply, 'accepted', '', false) RETURNING key"
)
_PART = text(
    "INSERT INTO part (message_key, ordinal, lane, state, reason, detail, account, outcome,"
    " attempts, ready_at, changed_at) VALUES (:message, 0, :lane, :state, :reason, '[]', '[]',"
    " '[]', 0, :ready, :at)"
)


@pytest.fixture
def old(database_url: str) -> Database:
    """A database as release 0001 left it: five patients and reports received, one held."""
    made = Database(database_url)
    schema.upgrade(made, "0001")
    raws = [("pas", demo._patient(*person, number)) for number, person in enumerate(demo._PEOPLE)]
    raws += [("lri", demo._negative(f"N{number}", f"R{number}", person))
             for number, person in enumerate(demo._PEOPLE)]  # fmt: skip
    at = now_micros()
    with made.write() as connection:
        for number, (sender, raw) in enumerate(raws):
            _keep(connection, number, sender, raw, at, "received")
        _keep(connection, 90, "lri", b"MSH|^~\\&|broken", at, "held")
    yield made
    made.close()


def _keep(connection: object, number: int, sender: str, raw: bytes, at: int, state: str) -> None:
    values = {"at": at, "sender": sender, "control_id": f"C{number}", "dedupe": f"d{number}",
              "raw": raw, "reply": b"kept"}  # fmt: skip
    key = connection.execute(_MESSAGE, values).scalar_one()  # type: ignore[attr-defined]
    part = {"message": key, "lane": f"lane-{number % 4}", "state": state, "at": at,
            "reason": "structure" if state == "held" else "",
            "ready": at if state == "received" else 0}  # fmt: skip
    connection.execute(_PART, part)  # type: ignore[attr-defined]


def test_an_upgrade_loses_nothing_and_the_backlog_is_filed(old: Database, tmp_path: Path) -> None:
    assert not schema.current(old)
    with old.read() as connection:
        query = text("SELECT key, raw, reply, dedupe_key FROM message ORDER BY key")
        before = connection.execute(query).all()
    schema.upgrade(old)
    assert schema.current(old)
    assert schema.differences(old) == []
    with old.read() as connection:
        assert connection.execute(query).all() == before
    desk = Desk(old, tmp_path)
    desk.work()
    states = desk.rows("SELECT state, count(*) AS n FROM part GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("filed", 8), ("held", 1)]
    assert len(desk.resources("DiagnosticReport")) == 4
