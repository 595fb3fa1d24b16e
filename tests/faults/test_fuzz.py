"""Whatever comes in: one answer for each complete frame, and every positive one names a row."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.pipeline.accept import Arrival, accept
from gateway.receive.http import hl7_blueprint
from gateway.serve.health import health_blueprint
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.faults.mangled import payloads, streams
from tests.receive.door import Client, field, intake, listening, message, rows

_SETTINGS = settings(
    max_examples=120, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def _clear(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM part")
        connection.exec_driver_sql("DELETE FROM message")


def test_a_listener_answers_each_complete_frame_once_and_in_order(sqlite: Database) -> None:
    with listening(sqlite, mllp_frame_seconds=5) as listener:

        @_SETTINGS
        @given(streams(), st.integers(1, 400))
        def run(stream: list[bytes], size: int) -> None:
            _clear(sqlite)
            data = b"".join(stream)
            with Client(listener.port) as client:
                for at in range(0, len(data), size):
                    client.send(data[at : at + size])
                replies = client.replies_until_closed()
            _check(sqlite, replies)

        run()
        with Client(listener.port) as client:
            assert field(client.ask(message("LAST")), "MSA", 1) == "AA"


def _check(database: Database, replies: list[bytes]) -> None:
    kept = rows(database)
    answered = [bytes(row.reply) for row in kept if row.reply]
    assert replies == answered
    for row in kept:
        assert row.state in ("accepted", "rejected", "duplicate")
        if row.reply and row.answer == "AA":
            assert row.state in ("accepted", "duplicate")
        elif row.state == "accepted":
            assert not row.reply  # nobody wanted one
    parts = rows(database, "SELECT DISTINCT message_key FROM part ORDER BY message_key")
    assert [row.message_key for row in parts] == [
        row.key for row in kept if row.state == "accepted"
    ]


@_SETTINGS
@given(payloads(), st.text(alphabet=st.characters(max_codepoint=255), max_size=12))
@example(b"MSH|^~\\&|IGENE|GLASGOW\r", "UTF-16")
@example(b"BHS|BHS|^\r" + message("C1") + message("C2") + b"BTS|2\r", "")
def test_acceptance_never_raises(sqlite: Database, raw: bytes, charset: str) -> None:
    arrival = Arrival(raw, Source("fuzz"), now_micros(), None, charset)
    reply = accept(arrival, intake(sqlite))
    newest = rows(sqlite, "SELECT * FROM message ORDER BY key DESC LIMIT 1")[0]
    assert bytes(newest.raw) == raw
    assert bytes(newest.reply) == reply


def _client(database: Database) -> FlaskClient:
    app = Flask("fuzz")
    app.register_blueprint(
        hl7_blueprint(intake(database), lambda: Source("fuzz"), now_micros, 20_000)
    )
    app.register_blueprint(health_blueprint(database))
    return app.test_client()


@_SETTINGS
@given(
    payloads() | st.binary(max_size=200),
    st.sampled_from(["application/hl7-v2", "x-application/hl7-v2+er7", "text/plain", ""]),
    st.sampled_from(["", "; charset=UTF-8", "; charset=8859/1", "; charset=\"'", "; charset="]),
)
def test_http_is_never_at_fault(sqlite: Database, raw: bytes, kind: str, charset: str) -> None:
    client = _client(sqlite)
    reply = client.post("/hl7", data=raw, content_type=kind + charset)
    assert reply.status_code < 500
    if reply.status_code == 200:
        newest = rows(sqlite, "SELECT * FROM message ORDER BY key DESC LIMIT 1")[0]
        assert bytes(newest.reply) == reply.data
    assert client.get("/health/ready").status_code == 200
