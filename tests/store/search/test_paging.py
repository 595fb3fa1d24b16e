"""Pages under writers: nothing that was there is lost or comes twice."""

from __future__ import annotations

import random
import threading

import pytest

from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.search.query import parse_query
from gateway.store.search.run import search
from tests.store.records import EVERYTHING, NOW, RULES, add_patient, report

DAY = 86_400_000_000
BEFORE = 40
SORTS = ("", "_id", "-_id", "date", "-date", "status,-date")


def _reports(chance: random.Random, key: int, first: int, many: int) -> list[NewVersion]:
    return [
        report(f"r{number:03}", "alice", key, status="final",
               effectiveDateTime=f"2025-03-{chance.randrange(1, 28):02}")
        for number in range(first, first + many)
    ]  # fmt: skip


class _Writer(threading.Thread):
    """Files new reports and new versions of old ones, as fast as it can, until told to stop."""

    def __init__(self, database: Database, key: int, seed: int, dates: list[str]) -> None:
        super().__init__()
        self.database, self.key, self.chance = database, key, random.Random(seed)
        self.dates = dates
        self.stop, self.written = threading.Event(), 0

    def run(self) -> None:
        while not self.stop.is_set():
            (new,) = _reports(self.chance, self.key, BEFORE + self.written, 1)
            number = self.chance.randrange(BEFORE)
            with self.database.write() as connection:
                save(connection, [new], NOW + DAY + self.written)
                # What is sorted by stays: a row that moves is another row to whoever sorts by it.
                again = report(
                    f"r{number:03}", "alice", self.key, status="final",
                    effectiveDateTime=self.dates[number], language=f"v{self.written}",
                )  # fmt: skip
                save(connection, [again], NOW + DAY + self.written)
            self.written += 1


def _read_all(database: Database, query: str, count: int) -> list[str]:
    seen: list[str] = []
    cursor = ""
    while True:
        pairs = [("_sort", query)] if query else []
        pairs += [("_count", str(count)), ("_cursor", cursor)]
        with database.search() as connection:
            page = search(connection, EVERYTHING, parse_query("DiagnosticReport", pairs, RULES))
        seen += [match.id for match in page.matches]
        cursor = page.next
        # New reports may come forever where they sort last.
        if not cursor or len(seen) > 20 * BEFORE:
            return seen


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_there_is_found_once_while_others_write(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    with database.write() as connection:
        key = add_patient(connection, "alice", "0101625707")
        made = _reports(chance, key, 0, BEFORE)
        save(connection, made, NOW)
    dates = [str(one.content["effectiveDateTime"]) for one in made]
    writer = _Writer(database, key, seed, dates)
    writer.start()
    try:
        for sort in SORTS:
            seen = _read_all(database, sort, chance.randrange(2, 9))
            assert len(seen) == len(set(seen)), sort
            assert {f"r{number:03}" for number in range(BEFORE)} <= set(seen), sort
    finally:
        writer.stop.set()
        writer.join()
    assert writer.written
