from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.store.tally import PAST, Tallied, Tally, tallied
from tests.receive.door import rows

NOW = 1_760_000_000_000_000
MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


def _sums(database: Database, now: int = NOW) -> list[Tallied]:
    with database.read() as connection:
        return tallied(connection, now)


def _clock(at: list[int]) -> Callable[[], int]:
    return lambda: at[0]


def _doors(database: Database) -> list[str]:
    return [row.door for row in rows(database, "SELECT DISTINCT door FROM tally ORDER BY door")]


def test_what_is_received_is_answered_or_open(database: Database) -> None:
    tally = Tally(database)
    for positive in (True, True, False):
        tally.received("lab")
        tally.answered("lab", positive)
    tally.received("lab")
    tally.fragment("other")
    tally.stop()
    lab, other = _sums(database)
    assert (lab.source, lab.received, lab.positive, lab.negative) == ("lab", 4, 2, 1)
    assert (lab.open, lab.fragments) == (1, 0)
    assert other == Tallied("other", 0, 0, 0, 1, 0)


def test_writing_twice_counts_once_and_doors_add_up(database: Database) -> None:
    one, other = Tally(database), Tally(database)
    for tally in (one, other):
        tally.received("lab")
        tally.answered("lab", True)
        tally.flush()
        tally.flush()
    one.received("lab")
    one.flush()
    assert [(row.received, row.positive, row.open) for row in _sums(database)] == [(3, 2, 1)]
    one.stop()
    other.stop()
    assert len(_doors(database)) == 2


def test_counts_come_from_many_threads(sqlite: Database) -> None:
    tally = Tally(sqlite)

    def count() -> None:
        for _ in range(200):
            tally.received("lab")
            tally.answered("lab", True)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.stop()
    assert [(row.received, row.positive) for row in _sums(sqlite)] == [(1600, 1600)]


def test_a_door_writes_by_itself(sqlite: Database) -> None:
    tally = Tally(sqlite)
    tally.received("lab")
    for _ in range(600):
        if _sums(sqlite):
            break
        threading.Event().wait(0.05)
    assert _sums(sqlite)[0].received == 1
    tally.stop()


def test_what_is_counted_while_the_store_is_down_is_written_later(sqlite: Database) -> None:
    tally = Tally(sqlite)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE tally RENAME TO away")
    tally.received("lab")
    with pytest.raises(StoreUnavailable):
        tally.flush()
    tally.answered("lab", False)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO tally")
    tally.stop()
    assert [(row.received, row.negative) for row in _sums(sqlite)] == [(1, 1)]


def test_stopping_with_the_store_down_ends(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally(sqlite)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE tally RENAME TO away")
    tally.received("lab")
    tally.stop()
    assert "could not be written" in caplog.text


def test_doors_that_are_silent_for_a_day_become_one(database: Database) -> None:
    at = [NOW]
    for _ in range(3):
        old = Tally(database, _clock(at))
        old.received("lab")
        old.answered("lab", True)
        old.received("other")
        old.stop()
    before = _sums(database)
    assert len(_doors(database)) == 3
    at[0] += DAY + MINUTE
    new = Tally(database, _clock(at))
    new.received("lab")
    new.stop()
    assert len(_doors(database)) == 2
    assert PAST in _doors(database)
    lab, other = _sums(database, at[0])
    assert (lab.received, lab.positive) == (before[0].received + 1, before[0].positive)
    assert (other.received, other.open) == (3, 3)


def test_a_door_that_was_taken_for_dead_is_not_counted_twice(database: Database) -> None:
    at = [NOW]
    sleeper, waker = Tally(database, _clock(at)), Tally(database, _clock(at))
    for count in range(1, 4):
        sleeper.received("lab")
        sleeper.received(f"once {count}")
        sleeper.flush()
        at[0] += 2 * DAY
        waker.received("waker")
        waker.flush()
        sums = {row.source: row.received for row in _sums(database, at[0])}
        assert sums.pop("lab") == count
        assert sums.pop("waker") == count
        assert set(sums.values()) == {1}
    sleeper.stop()
    waker.stop()


def test_an_idle_door_says_that_it_lives(database: Database) -> None:
    at = [NOW]
    idle, other = Tally(database, _clock(at)), Tally(database, _clock(at))
    idle.received("lab")
    idle.flush()
    name = _doors(database)
    for _ in range(5):
        at[0] += DAY // 2
        idle.flush()
        other.received("other")
        other.flush()
    assert name[0] in _doors(database)
    assert PAST not in _doors(database)
    idle.stop()
    other.stop()


def test_open_is_overdue_only_when_nothing_has_moved_for_a_minute(sqlite: Database) -> None:
    at = [NOW]
    tally = Tally(sqlite, _clock(at))
    tally.received("slow")
    tally.received("answered")
    tally.answered("answered", True)
    tally.stop()
    assert [row.overdue for row in _sums(sqlite, NOW + MINUTE)] == [0, 0]
    assert [row.overdue for row in _sums(sqlite, NOW + MINUTE + 1)] == [0, 1]


def test_a_tally_without_a_database_counts_and_ends() -> None:
    tally = Tally()
    for call in itertools.repeat(tally.received, 3):
        call("lab")
    tally.flush()
    tally.stop()


def test_a_name_that_a_database_refuses_is_cleaned(database: Database) -> None:
    tally = Tally(database)
    tally.received("a\0b" + "x" * 400)
    tally.stop()
    assert len(_sums(database)[0].source) == 250
