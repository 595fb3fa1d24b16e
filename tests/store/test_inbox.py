import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.store.inbox import Entry, Inbox
from tests.receive.door import rows


def _entry(number: int = 1, **fields: object) -> Entry:
    entry = Entry(
        1_000_000 + number, "mllp:192.0.2.1", b"raw %d" % number, "AA", b"reply %d" % number,
        control_id=f"C{number}", sending_application="LAB", dedupe_key=f"key {number}",
        lanes=(f"lane {number}",),
    )  # fmt: skip
    return replace(entry, **fields)


def _together(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_arrival_is_kept_with_its_work(database: Database) -> None:
    kept = Inbox(database).keep(_entry(lanes=("a", "b")))
    (row,) = rows(database)
    assert (row.key, bytes(row.raw), bytes(row.reply)) == (kept.key, b"raw 1", b"reply 1")
    assert (row.answer, row.state, row.control_id_reused) == ("AA", "accepted", False)
    parts = rows(database, "SELECT message_key, ordinal, lane, state FROM part ORDER BY ordinal")
    assert [tuple(part) for part in parts] == [
        (kept.key, 0, "a", "received"), (kept.key, 1, "b", "received"),
    ]  # fmt: skip


def test_a_repeat_gets_the_same_reply_and_no_new_work(database: Database) -> None:
    inbox = Inbox(database)
    first = inbox.keep(_entry())
    again = inbox.keep(_entry(raw=b"resent", reply=b"another reply"))
    assert (again.reply, again.answer) == (b"reply 1", "AA")
    assert (again.state, again.duplicate_of) == ("duplicate", first.key)
    assert len(rows(database)) == 2
    assert len(rows(database, "SELECT 1 FROM part")) == 1
    assert bytes(rows(database)[1].raw) == b"resent"


def test_what_has_no_key_never_repeats(database: Database) -> None:
    inbox = Inbox(database)
    for _ in range(2):
        inbox.keep(_entry(dedupe_key=None, state="rejected", lanes=()))
    assert [row.state for row in rows(database)] == ["rejected", "rejected"]


def test_a_reused_control_id_is_flagged_and_kept(database: Database) -> None:
    inbox = Inbox(database)
    inbox.keep(_entry())
    assert inbox.keep(_entry(dedupe_key="other body", raw=b"other")).control_id_reused
    assert not inbox.keep(_entry(dedupe_key="third", source="mllp:192.0.2.2")).control_id_reused
    assert [row.control_id_reused for row in rows(database)] in ([False, True, False], [0, 1, 0])
    assert len(rows(database, "SELECT 1 FROM part")) == 3


def test_nul_and_long_values_in_names_are_kept_in_short(database: Database) -> None:
    entry = _entry(control_id="C\0" + "x" * 900, raw=b"\0\xff", charset="a\0", type="\0")
    Inbox(database).keep(entry)
    (row,) = rows(database)
    assert (row.control_id, bytes(row.raw)) == ("C" + "x" * 249, b"\0\xff")


def test_twenty_threads_share_one_inbox(database: Database) -> None:
    inbox, kept = Inbox(database), []

    def sender(number: int) -> None:
        kept.extend(inbox.keep(_entry(number * 100 + at)) for at in range(25))

    _together([lambda number=number: sender(number) for number in range(20)])  # type: ignore[misc]
    stored = {row.key: (bytes(row.raw), bytes(row.reply)) for row in rows(database)}
    assert {entry.key: (entry.raw, entry.reply) for entry in kept} == stored
    assert len(stored) == 500
    assert len(rows(database, "SELECT 1 FROM part")) == 500


class _CountingDatabase:
    """A database that counts its transactions, and can keep the first waiting."""

    def __init__(self, database: Database) -> None:
        self.database, self.transactions = database, 0
        self.begun, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.database, name)

    def driver_errors(self) -> object:
        self.transactions += 1
        self.begun.set()
        assert self.go.wait(60)
        return self.database.driver_errors()


def test_those_who_wait_share_one_transaction(database: Database) -> None:
    counting = _CountingDatabase(database)
    inbox = Inbox(counting)  # type: ignore[arg-type]
    first = threading.Thread(target=lambda: inbox.keep(_entry(0)))
    first.start()
    assert counting.begun.wait(60)
    others = [
        threading.Thread(target=lambda n=n: inbox.keep(_entry(n)))  # type: ignore[misc]
        for n in range(1, 20)
    ]
    for thread in others:
        thread.start()
    while len(inbox._pending) < 19:
        threading.Event().wait(0.01)
    counting.go.set()
    for thread in (first, *others):
        thread.join()
    assert counting.transactions == 2
    assert len(rows(database)) == 20


def test_the_same_message_from_many_threads_is_work_once(database: Database) -> None:
    inboxes, kept = [Inbox(database), Inbox(database)], []
    _together(
        [
            lambda n=n: kept.append(inboxes[n % 2].keep(_entry(reply=b"reply %d" % n)))  # type: ignore[misc]
            for n in range(16)
        ]
    )
    assert len({entry.reply for entry in kept}) == 1
    assert sorted(entry.state for entry in kept) == ["accepted"] + ["duplicate"] * 15
    assert len(rows(database, "SELECT 1 FROM part")) == 1


@pytest.mark.parametrize(
    "poison",
    [
        {"dedupe_key": None, "state": None}, {"raw": None}, {"answer": None},
        {"received_at": "noon"}, {"duplicate_of": 999_999}, {"sender": object()},
        {"received_at": 2**70},
    ],
    ids=lambda poison: "+".join(f"{name}:{type(poison[name]).__name__}" for name in poison),
)  # fmt: skip
def test_one_that_the_store_refuses_takes_no_other_with_it(
    database: Database, poison: dict[str, object]
) -> None:
    if database.is_sqlite and "received_at" in poison:
        poison = {"reply": None}  # SQLite has no types to refuse with
    counting = _CountingDatabase(database)
    inbox, refused, kept = Inbox(counting), [], []  # type: ignore[arg-type]

    def bad() -> None:
        try:
            inbox.keep(_entry(7, **poison))
        except StoreUnavailable as error:
            refused.append(error)

    first = threading.Thread(target=lambda: inbox.keep(_entry(0)))
    first.start()
    assert counting.begun.wait(60)
    same = [_entry(1), _entry(1, reply=b"not this one"), _entry(2)]
    threads = [
        threading.Thread(target=lambda one=one: kept.append(inbox.keep(one))) for one in same
    ]  # type: ignore[misc]
    threads.append(threading.Thread(target=bad))
    for thread in threads:
        thread.start()
    while len(inbox._pending) < 4:
        threading.Event().wait(0.01)
    counting.go.set()
    for thread in (first, *threads):
        thread.join()
    assert len(refused) == 1
    assert sorted(entry.state for entry in kept) == ["accepted", "accepted", "duplicate"]
    assert {entry.key for entry in kept} < {row.key for row in rows(database)}
    assert len(rows(database)) == 4


def test_nothing_is_said_to_be_kept_when_the_commit_fails(sqlite: Database) -> None:
    with sqlite.write() as connection:
        # The check of this key waits for the commit, so each statement succeeds before it.
        connection.exec_driver_sql("CREATE TABLE late (key INTEGER REFERENCES message(key)"
                                   " DEFERRABLE INITIALLY DEFERRED)")  # fmt: skip
        connection.exec_driver_sql("CREATE TRIGGER late AFTER INSERT ON message BEGIN"
                                   " INSERT INTO late VALUES (-1); END")  # fmt: skip
    with pytest.raises(StoreUnavailable):
        Inbox(sqlite).keep(_entry())
    assert rows(sqlite) == []
