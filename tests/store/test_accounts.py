"""Attempts and codes are counted by all processes together, on both databases."""

from __future__ import annotations

import threading

from gateway.store.accounts import (
    Counted,
    create_account,
    forget_attempts,
    forgive_attempt,
    try_again_at,
    use_totp_step,
)
from gateway.store.database import Database
from gateway.store.people import LOCAL, create_person

SECOND = 1_000_000
COUNTED = Counted("account isla", 3)


def attempt(database: Database, now: int) -> int:
    with database.write() as connection:
        return try_again_at(connection, COUNTED, now)


def test_after_the_free_failures_each_wait_is_twice_as_long_up_to_a_quarter_of_an_hour(
    database: Database,
) -> None:
    assert [attempt(database, 1) for _ in range(3)] == [0, 0, 0]
    waits, now = [], 1
    for _ in range(7):
        until = attempt(database, now)
        waits.append((until - now) // SECOND)
        now = until
        assert attempt(database, now) == 0
    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_an_hour_after_the_first_failure_all_is_forgotten(database: Database) -> None:
    for _ in range(3):
        attempt(database, 1)
    assert attempt(database, 2) > 0
    assert [attempt(database, 3601 * SECOND) for _ in range(3)] == [0, 0, 0]


def test_success_forgets_or_takes_one_attempt_back(database: Database) -> None:
    for _ in range(3):
        attempt(database, 1)
    with database.write() as connection:
        forgive_attempt(connection, COUNTED)
    assert attempt(database, 2) == 0
    assert attempt(database, 2) > 0
    with database.write() as connection:
        forget_attempts(connection, COUNTED)
    assert attempt(database, 2) == 0


def test_many_at_once_get_no_more_attempts_than_one_after_another(database: Database) -> None:
    start, allowed = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        allowed.append(attempt(database, 1) == 0)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 5 + [True] * 3


def test_of_many_racing_uses_of_a_code_one_wins(database: Database) -> None:
    with database.write() as connection:
        key = create_person(connection, issuer=LOCAL, subject="isla", name="I", now=1).key
        create_account(connection, key, "a hash", 1)
    start, won = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        with database.write() as connection:
            won.append(use_totp_step(connection, key, 7))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    with database.write() as connection:
        assert not use_totp_step(connection, key, 6)
        assert use_totp_step(connection, key, 8)
