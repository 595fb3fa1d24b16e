from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.errors import Forbidden, Unauthorized
from gateway.receive.status import status_blueprint
from gateway.source import Source
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk
from tests.receive.door import BODY, answer, message, rows

BAD = BODY.replace(b"332^NO", b"999^NO")
LAB = Source("http:lab-1")
SECOND = 1_000_000


def _client(
    database: Database,
    who: Callable[[], Source] = lambda: LAB,
    clock: Callable[[], int] = now_micros,
) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(status_blueprint(database, who, clock))
    return app.test_client()


def _ask(client: FlaskClient, **query: Any) -> Any:
    reply = client.get("/hl7/messages", query_string={k.replace("_", "-"): v for k, v in
                                                      query.items()})  # fmt: skip
    assert reply.status_code == 200
    assert reply.mimetype == "application/json"
    return reply.get_json()


def _sweep(client: FlaskClient, after: str = "", limit: int = 100) -> tuple[list[Any], str]:
    """Return all notices since `after`, and where to go on."""
    found: list[Any] = []
    while True:
        reply = client.get("/hl7/notices", query_string={"after": after, "limit": limit})
        assert reply.status_code == 200
        page = reply.get_json()
        assert len(page["notices"]) <= limit
        found, after = found + page["notices"], page["after"]
        if not page["more"]:
            return found, after


def test_a_sender_learns_what_became_of_its_message(database: Database, tmp_path: Path) -> None:
    answer(database, message("C1", BAD), LAB)
    client = _client(database)
    (before,) = _ask(client, control_id="C1")
    assert [part["state"] for part in before["parts"]] == ["received"]
    Desk(database, tmp_path).work()
    (found,) = _ask(client, control_id="C1")
    assert (found["control_id"], found["type"], found["answer"], found["state"]) == (
        "C1", "ORU^R01", "AA", "accepted",
    )  # fmt: skip
    (part,) = found["parts"]
    assert (part["part"], part["state"]) == (1, "held")
    assert part["reason"]
    assert part["places"]
    assert found["received_at"].endswith("Z")


def test_repeats_and_refusals_are_told_too_newest_first(database: Database) -> None:
    for raw in (message("C1"), message("C1"), message("C1", application="NOBODY")):
        answer(database, raw, LAB)
    refused, repeat, first = _ask(_client(database), control_id="C1")
    assert (refused["answer"], refused["state"], refused["parts"]) == ("AR", "rejected", [])
    assert refused["reason"] == "UnknownSender MSH-3"
    assert (repeat["state"], repeat["duplicate_of"]) == ("duplicate", first["key"])
    assert len(first["parts"]) == 1


def test_nobody_learns_of_the_messages_of_another_source(sqlite: Database, tmp_path: Path) -> None:
    answer(sqlite, message("C1"), Source("http:lab-2"))
    Desk(sqlite, tmp_path).work()
    client = _client(sqlite)
    assert _ask(client, control_id="C1") == []
    assert _sweep(client)[0] == []
    assert len(_sweep(_client(sqlite, lambda: Source("http:lab-2")))[0]) == 1


@pytest.mark.parametrize(("error", "status"), [(Unauthorized(), 401), (Forbidden(), 403)])
@pytest.mark.parametrize("path", ["/hl7/messages?control-id=C1", "/hl7/notices"])
def test_who_may_not_send_may_not_ask(
    sqlite: Database, error: Exception, status: int, path: str
) -> None:
    def refuse() -> Source:
        raise error

    reply = _client(sqlite, refuse).get(path)
    assert reply.status_code == status
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "path",
    [
        "/hl7/messages", "/hl7/messages?control-id=", "/hl7/notices?limit=0",
        "/hl7/notices?limit=", "/hl7/notices?limit=-1", "/hl7/notices?limit=%D9%A3",
        "/hl7/notices?limit=99999999999999999999", "/hl7/notices?after=here",
        "/hl7/notices?after=MTox", "/hl7/notices?after=%00", "/hl7/notices?after=%C3%A9",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_bad_request(sqlite: Database, path: str) -> None:
    assert _client(sqlite).get(path).status_code == 400


def test_a_control_id_may_be_anything(database: Database) -> None:
    client = _client(database)
    for odd in ("' OR 1=1 --", "%", "x" * 10_000, "\0", "\r\nMSH|", "Zoë"):
        assert _ask(client, control_id=odd) == []


def test_with_the_store_down_the_sender_is_asked_to_come_again(sqlite: Database) -> None:
    client = _client(sqlite)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    for path in ("/hl7/messages?control-id=C1", "/hl7/notices"):
        reply = client.get(path)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")


def test_changes_come_in_order_and_every_one_of_them(database: Database, tmp_path: Path) -> None:
    for number in range(7):
        body = (BAD if number % 2 else BODY).replace(b"IG-9", b"IG-%d" % number)
        answer(database, message(f"C{number}", body), LAB)
    Desk(database, tmp_path).work()
    client = _client(database)
    for limit in (1, 3, 7, 100):
        found, _ = _sweep(client, limit=limit)
        assert sorted(one["control_id"] for one in found) == [f"C{n}" for n in range(7)]
        order = rows(database, "SELECT message_key FROM part ORDER BY changed_at, key")
        assert [one["key"] for one in found] == [row.message_key for row in order]


def test_what_changes_later_is_told_again_and_what_is_old_is_not(
    sqlite: Database, tmp_path: Path
) -> None:
    at = [now_micros()]
    client = _client(sqlite, clock=lambda: at[0])
    answer(sqlite, message("C1", BAD), LAB)
    Desk(sqlite, tmp_path).work()
    found, after = _sweep(client)
    assert [one["state"] for one in found] == ["held"]
    at[0] += 120 * SECOND
    found, after = _sweep(client, after)
    assert [one["state"] for one in found] == ["held"]  # its minute was not over
    found, after = _sweep(client, after)
    assert found == []
    with sqlite.write() as connection:
        connection.exec_driver_sql(f"UPDATE part SET state = 'filed', changed_at = {at[0]}")
    for _ in range(2):
        found, _ = _sweep(client, after)
        assert [(one["state"], one["places"]) for one in found] == [("filed", [])]


def test_a_change_that_is_seen_late_is_told_all_the_same(sqlite: Database, tmp_path: Path) -> None:
    at = [now_micros()]
    client = _client(sqlite, clock=lambda: at[0])
    for number in range(3):
        answer(sqlite, message(f"C{number}", BODY.replace(b"IG-9", b"IG-%d" % number)), LAB)
    Desk(sqlite, tmp_path).work()
    with sqlite.write() as connection:
        connection.exec_driver_sql(f"UPDATE part SET changed_at = {at[0] + SECOND}")
        connection.exec_driver_sql("UPDATE part SET state = 'received' WHERE message_key = 2")
    at[0] += 2 * SECOND
    found, after = _sweep(client, limit=1)
    assert len(found) == 2
    with sqlite.write() as connection:  # committed late, with an earlier time than those
        connection.exec_driver_sql(
            f"UPDATE part SET state = 'filed', changed_at = {at[0] - 10 * SECOND}"
            " WHERE message_key = 2"
        )
    assert "C1" in [one["control_id"] for one in _sweep(client, after)[0]]


def test_a_clock_that_is_set_back_loses_no_later_change(sqlite: Database, tmp_path: Path) -> None:
    at = [now_micros()]
    client = _client(sqlite, clock=lambda: at[0])
    _, after = _sweep(client)
    at[0] -= 3600 * SECOND
    answer(sqlite, message("C1"), LAB)
    Desk(sqlite, tmp_path).work()
    with sqlite.write() as connection:
        connection.exec_driver_sql(f"UPDATE part SET changed_at = {at[0]}")
    assert [one["control_id"] for one in _sweep(client, after)[0]] == ["C1"]


def test_history_that_is_loaded_back_is_told_to_nobody(sqlite: Database, tmp_path: Path) -> None:
    answer(sqlite, message("C1"), Source(LAB.name, back_load=True))
    Desk(sqlite, tmp_path).work()
    client = _client(sqlite)
    assert _sweep(client)[0] == []
    assert len(_ask(client, control_id="C1")) == 1


def test_a_source_with_little_among_much_of_others_finds_it(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.notices._WINDOW", 2)
    for number in range(9):
        who = LAB if number in (0, 8) else Source("http:lab-2")
        answer(sqlite, message(f"C{number}", BODY.replace(b"IG-9", b"IG-%d" % number)), who)
    Desk(sqlite, tmp_path).work()
    assert {one["control_id"] for one in _sweep(_client(sqlite))[0]} == {"C0", "C8"}
