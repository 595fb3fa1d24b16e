"""What a person decides about a held part: once, by name, and never against a worker."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.errors import GatewayError, InvalidRequest, NotFound
from gateway.pipeline.decide import decision_by, find_held, reject, release, undo_merge
from gateway.store import work
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk

MORAG, HAMISH = demo._PEOPLE[:2]
TWICE = ("0101336489", *MORAG[1:])
BORN = MORAG[2].encode()
WHO = decision_by("Ann Example", "checked")
OTHER = decision_by("Bea Example", "checked")


def _result(
    control: str, number: str = "R-1", status: str = "F", when: str = "20260302101500"
) -> bytes:
    return demo._germline(control, number, MORAG, when, status, "Advice.")


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _held(desk: Desk, raw: bytes) -> int:
    row = desk.send(raw.replace(BORN, b"19620102"))
    assert (row["state"], row["reason"]) == ("held", "patient-mismatch")
    return int(row["part"])


def _states(desk: Desk) -> list[str]:
    return [row.state for row in desk.rows("SELECT state FROM part ORDER BY key")][1:]


def _decided(desk: Desk) -> list[tuple[str, ...]]:
    rows = desk.rows("SELECT action, who, reason, digest FROM decision ORDER BY key")
    return [tuple(row) for row in rows]


def _index(desk: Desk, born: str) -> None:
    """Put the patient index right, as a feed would."""
    with desk.database.write() as connection:
        connection.execute(text("UPDATE patient SET birth_date = :born"), {"born": born})


def test_a_released_part_is_filed_once_the_index_was_put_right(desk: Desk) -> None:
    key = _held(desk, _result("C1"))
    _index(desk, "1962-01-02")
    release(desk.office(), key, WHO)
    assert _states(desk) == ["received"]
    desk.work()
    assert _states(desk) == ["filed"]
    assert _decided(desk) == [("release", "Ann Example", "checked", "")]


def test_a_released_part_that_is_still_wrong_is_held_again(desk: Desk) -> None:
    key = _held(desk, _result("C1"))
    release(desk.office(), key, WHO)
    desk.work()
    assert _states(desk) == ["held"]


def test_a_part_that_stopped_its_workers_is_tried_again_after_release(desk: Desk) -> None:
    key = _held(desk, _result("C1"))
    with desk.database.write() as connection:
        connection.execute(text("UPDATE part SET crashes = 9 WHERE key = :key"), {"key": key})
    _index(desk, "1962-01-02")
    release(desk.office(), key, WHO)
    desk.work()
    assert _states(desk) == ["filed"]


def _wait_behind(desk: Desk) -> int:
    """A held report part, and a later one that waits behind it."""
    first = _held(desk, _result("C1"))
    with desk.database.write() as connection:
        laboratory = connection.execute(text("SELECT report FROM part_report")).scalar_one()
    desk.accept(_result("C2", when="20260303101500"))
    claim = work.claim(desk.database, "w", now_micros(), 60_000_000)
    assert claim is not None
    with desk.database.write() as connection:
        part = work.bring(connection, claim.parts[0])
        work.wait_behind(connection, part, laboratory, now_micros(), "routine")
    work.release(desk.database, claim)
    assert _states(desk) == ["held", "waiting"]
    return first


def test_what_waits_goes_on_waiting_behind_a_released_part_until_it_is_filed(desk: Desk) -> None:
    key = _wait_behind(desk)
    release(desk.office(), key, WHO)
    assert desk.rows("SELECT part_key FROM part_report")[0].part_key == key
    _index(desk, "1962-01-02")
    desk.work()
    # The second one was right about the birth date that the index has no longer.
    assert _states(desk) == ["filed", "held"]


def test_a_rejected_part_is_final_and_what_waited_goes_on(desk: Desk) -> None:
    key = _wait_behind(desk)
    reject(desk.office(), key, WHO)
    desk.work()
    assert _states(desk) == ["rejected", "filed"]
    assert desk.rows("SELECT * FROM part_report") == []
    assert desk.rows(f"SELECT reason FROM part WHERE key = {key}")[0].reason == "patient-mismatch"
    for act in (release, reject):
        with pytest.raises(InvalidRequest, match="it is rejected"):
            act(desk.office(), key, OTHER)
    assert _decided(desk) == [("reject", "Ann Example", "checked", "")]


def test_a_rejected_part_takes_its_flag_off_the_published_report(desk: Desk) -> None:
    desk.send(_result("C1"))
    key = _held(desk, _result("C2", status="C", when="20260309101500"))
    (report,) = desk.resources("DiagnosticReport")
    assert report["meta"]["tag"][0]["code"] == "newer-message-held"
    reject(desk.office(), key, WHO)
    (report,) = desk.resources("DiagnosticReport")
    assert (report["status"], "tag" in report["meta"]) == ("final", False)
    assert not desk.rows("SELECT flagged FROM report")[0].flagged


def test_the_flag_stays_while_another_part_about_the_report_is_held(desk: Desk) -> None:
    desk.send(_result("C1"))
    first = _held(desk, _result("C2", status="C", when="20260309101500"))
    second = _held(desk, _result("C3", status="C", when="20260310101500"))
    reject(desk.office(), first, WHO)
    assert "tag" in desk.resources("DiagnosticReport")[0]["meta"]
    reject(desk.office(), second, WHO)
    assert "tag" not in desk.resources("DiagnosticReport")[0]["meta"]


def test_a_released_part_that_says_nothing_new_takes_its_flag_off(desk: Desk) -> None:
    desk.send(_result("C1"))
    key = _held(desk, _result("C2", when="20260302101501"))
    assert desk.rows("SELECT flagged FROM report")[0].flagged
    with desk.database.write() as connection:
        raw = _result("C2", when="20260302101500")
        connection.execute(
            text("UPDATE message SET raw = :raw WHERE key ="
                 " (SELECT message_key FROM part WHERE key = :key)"),
            {"raw": raw, "key": key},
        )  # fmt: skip
    release(desk.office(), key, WHO)
    desk.work()
    assert _states(desk) == ["filed", "filed"]
    assert not desk.rows("SELECT flagged FROM report")[0].flagged
    assert "tag" not in desk.resources("DiagnosticReport")[0]["meta"]


@pytest.mark.parametrize("act", [release, reject])
def test_a_filed_part_is_neither_released_nor_rejected(desk: Desk, act: object) -> None:
    key = int(desk.send(_result("C1"))["part"])
    with pytest.raises(InvalidRequest, match="it is filed"):
        act(desk.office(), key, WHO)  # type: ignore[operator]
    assert _decided(desk) == []
    assert _states(desk) == ["filed"]


def test_a_part_in_the_hands_of_a_worker_is_left_to_it(desk: Desk) -> None:
    desk.accept(_result("C1"))
    key = desk.rows("SELECT max(key) FROM part")[0][0]
    with pytest.raises(InvalidRequest, match="it is received"):
        reject(desk.office(), key, WHO)


def test_a_part_whose_bytes_were_removed_is_not_released(desk: Desk) -> None:
    key = _held(desk, _result("C1"))
    with desk.database.write() as connection:
        connection.execute(text("UPDATE message SET purged_at = 1"))
    with pytest.raises(InvalidRequest, match="retention"):
        release(desk.office(), key, WHO)


@pytest.mark.parametrize(("who", "why"), [("", "why"), ("who", " "), ("w\x1bho", "why"),
                                          ("w" * 101, "why"), ("who", "w" * 501)])  # fmt: skip
def test_a_decision_needs_who_and_why(who: str, why: str) -> None:
    with pytest.raises(InvalidRequest):
        decision_by(who, why)


def test_of_two_people_who_decide_at_once_one_wins(desk: Desk) -> None:
    key = _held(desk, _result("C1"))
    start = threading.Barrier(4)
    errors: list[str] = []

    def decide(number: int) -> None:
        start.wait()
        try:
            (reject if number % 2 else release)(desk.office(), key, WHO)
        except GatewayError as error:
            errors.append(error.text)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((action, *_),) = _decided(desk)
    state = {"reject": "rejected", "release": "received"}[action]
    assert _states(desk) == [state]
    assert errors == [f"it is {state}: only a held one can be decided on"] * 3


def test_a_message_is_named_by_its_key_and_a_part_of_several_by_its_number(desk: Desk) -> None:
    office = desk.office()
    first = _held(desk, _result("C1"))
    message = desk.rows(f"SELECT message_key FROM part WHERE key = {first}")[0].message_key
    assert find_held(office, message) == find_held(office, message, 1) == first
    with pytest.raises(NotFound, match="no part 2"):
        find_held(office, message, 2)
    with pytest.raises(NotFound, match="no such message"):
        find_held(office, 999)
    with desk.database.write() as connection:
        for ordinal in (1, 2):
            connection.execute(
                text("INSERT INTO part (message_key, ordinal, lane, state, reason, ready_at,"
                     " changed_at, detail, account, outcome, attempts) VALUES (:message, :ordinal,"
                     " 'l', :state, '', 0, 0, '[]', '[]', '[]', 1)"),
                {"message": message, "ordinal": ordinal, "state": ("filed", "held")[ordinal - 1]},
            )  # fmt: skip
    with pytest.raises(InvalidRequest, match="parts 1, 3 are held"):
        find_held(office, message)
    reject(office, find_held(office, message, 3), WHO)
    assert find_held(office, message) == first


def _merged(desk: Desk) -> int:
    desk.send(demo._patient(*TWICE, 2))
    desk.send(demo._lines(
        "MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^A40|M1|P|2.5",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"MRG|{TWICE[0]}^^^CHI^NH",
    ))  # fmt: skip
    return int(desk.rows("SELECT key FROM patient_merge")[0].key)


def test_a_merge_is_undone_once_and_by_name(desk: Desk) -> None:
    key = _merged(desk)
    desk.send(_result("C1"))
    review = undo_merge(desk.office(), key, WHO)
    (report,) = desk.resources("DiagnosticReport")
    assert review == [f"DiagnosticReport/{report['id']}"]
    assert desk.rows("SELECT undone_at FROM patient_merge")[0].undone_at
    assert _decided(desk) == [("unmerge", "Ann Example", "checked", "")]
    with pytest.raises(InvalidRequest, match="undone already"):
        undo_merge(desk.office(), key, OTHER)
    with pytest.raises(NotFound):
        undo_merge(desk.office(), key + 1, OTHER)
