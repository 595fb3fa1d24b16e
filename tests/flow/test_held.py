"""A held part holds only its own report, and what comes later for it waits its turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.config import Settings
from gateway.pipeline.file import file_part
from gateway.store import work
from gateway.store.database import Database, now_micros
from gateway.worker import Leases, run_once
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]


def _result(number: str, order: int, *, day: int = 1, status: str = "F", rest: str = "") -> bytes:
    when = f"2026030{day}101500"
    return "\r".join([
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||{when}||ORU^R01^ORU_R01|{number}-{order}|P|2.5.1",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"OBR|1||{number}|R208.1^Panel^England-GenomicTestDirectory|{rest}||20260210"
        f"|||||||||||||||{when}||GE|{status}",
        "OBX|1|CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
    ]).encode() + b"\r"  # fmt: skip


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _agree(desk: Desk, **agreed: Any) -> None:
    """Change what is agreed with the sender."""
    found = desk.mappings.by_name["lri"]
    changed = replace(found, sender=replace(found.sender, **agreed))
    by_name = MappingProxyType({**desk.mappings.by_name, "lri": changed})
    desk.mappings = replace(desk.mappings, by_name=by_name)


def _states(desk: Desk) -> list[tuple[str, str]]:
    return [
        (row.state, row.reason) for row in desk.rows("SELECT state, reason FROM part ORDER BY key")
    ][1:]


def _release(desk: Desk, broken: str, mended: str) -> None:
    """Mend the newest held message and give it back to the workers, as a person would."""
    with desk.database.write() as connection:
        row = connection.execute(text("SELECT key, message_key FROM part WHERE state = 'held'"))
        key, message = row.one()
        raw = connection.execute(
            text("SELECT raw FROM message WHERE key = :key"), {"key": message}
        ).scalar_one()
        connection.execute(
            text("UPDATE message SET raw = :raw WHERE key = :key"),
            {"key": message, "raw": bytes(raw).replace(broken.encode(), mended.encode())},
        )
        connection.execute(
            text("UPDATE part SET state = 'received', reason = '', ready_at = 1 WHERE key = :key"),
            {"key": key},
        )
    desk.work()


def test_what_comes_later_for_a_report_waits_behind_a_held_part(desk: Desk) -> None:
    _agree(desk, snapshot=False)
    desk.send(_result("LRI-1", 1, day=1).replace(MORAG[2].encode(), b"19620102"))
    desk.send(_result("LRI-1", 2, day=2, status="C"))
    desk.send(_result("LRI-2", 3))
    assert _states(desk) == [("held", "patient-mismatch"), ("waiting", "blocked"), ("filed", "")]
    assert len(desk.resources("DiagnosticReport")) == 1


@pytest.mark.parametrize(
    ("agreed", "passes"),
    [({"snapshot": True}, True), ({"snapshot": None}, False), ({"snapshot": False}, False),
     ({"snapshot": True, "behind_held": "wait"}, False),
     ({"snapshot": False, "behind_held": "pass"}, True)],
)  # fmt: skip
def test_a_version_that_says_everything_is_not_kept_waiting(
    desk: Desk, agreed: dict[str, Any], passes: bool
) -> None:
    _agree(desk, **agreed)
    desk.send(_result("LRI-1", 1, day=1).replace(MORAG[2].encode(), b"19620102"))
    row = desk.send(_result("LRI-1", 2, day=2))
    assert row["state"] == ("filed" if passes else "waiting")


def test_what_waited_goes_on_in_order_when_the_held_part_is_filed(desk: Desk) -> None:
    # Its status is known, and it is held for the patient: the report that it names is known too.
    _agree(desk, behind_held="wait")
    broken = _result("LRI-1", 1, day=1).replace(MORAG[2].encode(), b"19620102")
    desk.send(broken)
    desk.send(_result("LRI-1", 2, day=2, status="C"))
    assert _states(desk) == [("held", "patient-mismatch"), ("waiting", "blocked")]
    _release(desk, "19620102", MORAG[2])
    assert _states(desk) == [("filed", ""), ("filed", "")]
    (report,) = desk.resources("DiagnosticReport")
    assert report["status"] == "corrected"
    assert desk.rows("SELECT * FROM part_report") == []


def test_a_withdrawal_never_waits_behind_a_held_part(desk: Desk) -> None:
    _agree(desk, behind_held="wait")
    desk.send(_result("LRI-1", 1, day=1))
    desk.send(_result("LRI-1", 2, day=2).replace(MORAG[2].encode(), b"19620102"))
    withdrawn = _result("LRI-1", 3, day=3, status="C").replace(b"||||||F\r", b"||||||W\r")
    assert desk.send(withdrawn)["state"] == "filed"
    (report,) = desk.resources("DiagnosticReport")
    assert report["status"] == "entered-in-error"


@pytest.mark.parametrize(
    ("rest", "raw", "urgency"),
    [("S", b"", "stat"), ("U", b"", "urgent"), ("R", b"", "routine"), ("", b"", "routine"),
     ("", b"NTE|1||\x00\r", "urgent")],
)  # fmt: skip
def test_a_held_part_has_an_urgency(desk: Desk, rest: str, raw: bytes, urgency: str) -> None:
    broken = _result("LRI-1", 1, rest=rest).replace(MORAG[2].encode(), b"19620102") + raw
    assert desk.send(broken)["state"] == "held"
    assert desk.rows("SELECT urgency FROM part ORDER BY key DESC")[0].urgency == urgency


def test_a_message_that_stops_its_workers_is_held_and_others_go_on(desk: Desk) -> None:
    desk.accept(_result("LRI-1", 1))
    desk.accept(_result("LRI-2", 2))
    for number in range(6):
        # A worker that takes the lane and is never heard of again.
        claimed = work.claim(desk.database, f"lost-{number}", now_micros(), 1)
        assert claimed is not None
    while run_once(desk.office(), "worker"):
        pass
    assert _states(desk) == [("held", "defect"), ("filed", "")]


def test_a_message_that_takes_longer_than_a_lease_is_not_taken_over(desk: Desk) -> None:
    desk.accept(_result("LRI-1", 1))
    now = now_micros()
    office = replace(desk.office(), clock=lambda: now, settings=Settings())
    leases = Leases(office)
    claimed = work.claim(desk.database, "slow", now, 30_000_000)
    assert claimed is not None
    with leases.keep(claimed):
        for _ in range(10):
            now += 20_000_000
            leases.renew()
            assert work.claim(desk.database, "other", now + 1, 30_000_000) is None
        with desk.database.read() as connection:
            part = work.bring(connection, claimed.parts[0])
        assert part.crashes == 0
        assert file_part(claimed, part, office) == "filed"
    now += 60_000_000
    leases.renew()
    assert work.claim(desk.database, "other", now, 30_000_000) is None  # there is no more


def test_a_clock_that_is_put_back_stops_no_work(desk: Desk) -> None:
    desk.accept(_result("LRI-1", 1))
    day = 86_400_000_000
    ahead = work.claim(desk.database, "ahead", now_micros() + day, 30_000_000)
    assert ahead is not None
    with desk.database.write() as connection:
        connection.execute(
            text("UPDATE part SET ready_at = :at WHERE state = 'received'"),
            {"at": now_micros() + day},
        )
    desk.work()
    assert _states(desk) == [("filed", "")]


def test_a_part_that_waits_for_its_time_is_not_overtaken_in_its_lane(desk: Desk) -> None:
    for order in (1, 2, 3):
        desk.accept(_result(f"LRI-{order}", order))
    with desk.database.write() as connection:
        keys = connection.execute(text("SELECT key FROM part ORDER BY key")).scalars().all()
        connection.execute(
            text("UPDATE part SET state = 'waiting', reason = 'conflict', ready_at = :at"
                 " WHERE key = :key"),
            {"key": keys[2], "at": now_micros() + 60_000_000},
        )  # fmt: skip
    desk.work()
    assert _states(desk) == [("filed", ""), ("waiting", "conflict"), ("received", "")]


def test_a_test_that_a_setting_names_is_urgent(desk: Desk) -> None:
    broken = _result("LRI-1", 1).replace(MORAG[2].encode(), b"19620102")
    office = replace(desk.office(), settings=replace(Settings(), urgent_tests=("R20",)))
    desk.accept(broken)
    assert run_once(office, "worker")
    assert desk.rows("SELECT urgency FROM part ORDER BY key DESC")[0].urgency == "urgent"
