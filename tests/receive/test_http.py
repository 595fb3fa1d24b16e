import io
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.errors import Forbidden, Unauthorized
from gateway.receive.http import hl7_blueprint
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.receive.door import BODY, codes, intake, message, rows

TYPE = "application/hl7-v2; charset=UTF-8"


def _client(
    database: Database, who: Callable[[], Source] = lambda: Source("http:lab-1")
) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(hl7_blueprint(intake(database), who, now_micros, 10_000))
    return app.test_client()


@pytest.mark.parametrize(
    "kind", ["application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7"]
)
def test_a_message_is_kept_and_answered_in_its_own_type(database: Database, kind: str) -> None:
    reply = _client(database).post("/hl7", data=message(), content_type=kind)
    assert (reply.status_code, codes(reply.data)[0]) == (200, "AA")
    assert reply.mimetype == kind
    (row,) = rows(database)
    assert (bytes(row.raw), row.source) == (message(), "http:lab-1")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (message(kind="MDM^T02"), "AR"), (b"hello", "AR"), (message(), "AA"),
        (message() + message("C2"), "AR"),
    ],
)  # fmt: skip
def test_every_hl7_answer_rides_on_200(sqlite: Database, raw: bytes, expected: str) -> None:
    reply = _client(sqlite).post("/hl7", data=raw, content_type=TYPE)
    assert (reply.status_code, codes(reply.data)[0]) == (200, expected)
    assert [bytes(row.raw) for row in rows(sqlite)] == [raw]


def test_a_repeat_gets_the_same_bytes(sqlite: Database) -> None:
    client = _client(sqlite)
    first, again = (client.post("/hl7", data=message(), content_type=TYPE) for _ in range(2))
    assert first.data == again.data
    assert [row.state for row in rows(sqlite)] == ["accepted", "duplicate"]


def test_the_charset_parameter_is_kept_for_the_reader(sqlite: Database) -> None:
    raw = message(body=BODY + "NTE|1||Zoë\r".encode(), rest="||||||8859/1")
    reply = _client(sqlite).post("/hl7", data=raw, content_type=TYPE)
    assert reply.mimetype_params == {"charset": "UTF-8"}
    assert rows(sqlite)[0].charset == "UTF-8"


def _refuse(error: Exception) -> Callable[[], str]:
    def refuse() -> Source:
        raise error

    return refuse


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {"Content-Type": TYPE}, 400),
        (message(), {"Content-Type": "text/plain"}, 415),
        (message(), {"Content-Type": "application/hl7-v2+xml"}, 415),
        (message(), {}, 415),
        (message(), {"Content-Type": TYPE, "Content-Encoding": "gzip"}, 415),
        (b"x" * 10_001, {"Content-Type": TYPE}, 413),
    ],
)
def test_what_never_became_a_message_has_no_hl7_body(
    sqlite: Database, body: bytes, headers: dict[str, str], status: int
) -> None:
    reply = _client(sqlite).post("/hl7", data=body, headers=headers)
    assert (reply.status_code, reply.mimetype) == (status, "text/plain")
    assert b"MSA" not in reply.data
    assert rows(sqlite) == []


def test_a_body_of_unknown_length_is_limited_too(sqlite: Database) -> None:
    reply = _client(sqlite).post(
        "/hl7", input_stream=io.BytesIO(b"x" * 30_000), content_type=TYPE,
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )  # fmt: skip
    assert reply.status_code == 413
    assert rows(sqlite) == []


@pytest.mark.parametrize(("error", "status"), [(Unauthorized(), 401), (Forbidden(), 403)])
def test_who_may_not_send_is_told_so(sqlite: Database, error: Exception, status: int) -> None:
    reply = _client(sqlite, _refuse(error)).post("/hl7", data=message(), content_type=TYPE)
    assert (reply.status_code, reply.mimetype) == (status, "text/plain")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert rows(sqlite) == []


def test_with_the_store_down_the_sender_is_asked_to_come_again(sqlite: Database) -> None:
    client = _client(sqlite)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    reply = client.post("/hl7", data=message(), content_type=TYPE)
    assert (reply.status_code, reply.mimetype) == (503, "text/plain")
    assert int(reply.headers["Retry-After"]) > 0
    assert b"MSA" not in reply.data
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO message")
    assert client.post("/hl7", data=message(), content_type=TYPE).status_code == 200


def test_only_post_is_answered(sqlite: Database) -> None:
    assert _client(sqlite).get("/hl7").status_code == 405
