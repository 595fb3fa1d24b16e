from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from gateway.receive.http import hl7_blueprint
from gateway.source import Source
from gateway.store.database import Database, now_micros
from gateway.store.tally import Tallied, Tally, tallied
from tests.receive.counted import exchange
from tests.receive.door import intake, message

TYPE = "application/hl7-v2; charset=UTF-8"


def _sums(database: Database) -> list[Tallied]:
    with database.read() as connection:
        return tallied(connection, now_micros())


@pytest.mark.parametrize(
    ("raw", "status", "counts"),
    [
        (message(), 200, (1, 1, 0)), (message(application="NOBODY"), 200, (1, 0, 1)),
        (b"hello", 200, (1, 0, 1)), (message() + message("C2"), 200, (1, 0, 1)),
        (message(rest="|||NE|NE"), 200, (1, 1, 0)), (b"", 400, None), (b"x" * 10_001, 413, None),
    ],
)  # fmt: skip
def test_a_body_is_counted_once_it_is_complete_and_its_answer_once_sent(
    database: Database, raw: bytes, status: int, counts: tuple[int, int, int] | None
) -> None:
    tally = Tally(database)
    counting = replace(intake(database), tally=tally)
    app = Flask("test")
    app.register_blueprint(hl7_blueprint(counting, lambda: Source("lab"), now_micros, 10_000))
    with app.test_client().post("/hl7", data=raw, content_type=TYPE) as reply:
        assert reply.status_code == status
    tally.stop()
    found = [(one.received, one.positive, one.negative) for one in _sums(database)]
    assert found == ([counts] if counts else [])


def test_what_the_store_cannot_take_is_refused_and_counted_so(sqlite: Database) -> None:
    tally = Tally(sqlite)
    counting = replace(intake(sqlite), tally=tally)
    app = Flask("test")
    app.register_blueprint(hl7_blueprint(counting, lambda: Source("lab"), now_micros, 10_000))
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    with app.test_client().post("/hl7", data=message(), content_type=TYPE) as reply:
        assert reply.status_code == 503
    tally.stop()
    assert [(one.received, one.negative) for one in _sums(sqlite)] == [(1, 1)]


def test_a_frame_without_an_end_is_a_fragment(database: Database) -> None:
    exchange(database, message("C1"), half=message("C2"))
    (one,) = _sums(database)
    assert (one.received, one.positive, one.open, one.fragments) == (1, 1, 0, 1)
