from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.source import Source
from gateway.store.database import Database
from gateway.wire.mllp import wrap
from tests.receive.counted import counted, exchange
from tests.receive.door import Client, answer, message


def _summary(monkeypatch: pytest.MonkeyPatch, database: Database, folder: Path) -> Result:
    monkeypatch.setenv("GATEWAY_DATA", str(folder))
    url = database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("GATEWAY_DATABASE", url)
    return CliRunner().invoke(main, ["messages", "list", "--summary"])


def _cells(shown: Result) -> list[list[str]]:
    return [line.split("\t") for line in shown.stdout.splitlines()[1:]]


def test_what_came_adds_up(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(
        database, message("C1"), message("C1"), message("C2", application="NOBODY"), b"hello",
        half=message("C3"),
    )  # fmt: skip
    answer(database, message("C4"), Source("folder:lab"))  # not counted by any door
    shown = _summary(monkeypatch, database, tmp_path)
    assert shown.exit_code == 0
    assert _cells(shown) == [
        ["mllp:127.0.0.1", "4", "2", "2", "0", "1", "2"],
        ["folder:lab", "0", "0", "0", "0", "0", "1"],
    ]


def test_silence_that_was_asked_for_is_an_answer_once_stored(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = "|||NE|NE"
    frames = (
        message("C1", rest=silent), message("C2", rest=silent, application="NOBODY"), message("C3"),
    )  # fmt: skip
    with counted(sqlite) as port, Client(port) as client:
        for frame in frames:
            client.send(wrap(frame))
        assert b"C3" in client.reply()
    shown = _summary(monkeypatch, sqlite, tmp_path)
    assert _cells(shown) == [["mllp:127.0.0.1", "3", "2", "1", "0", "0", "2"]]
    assert shown.exit_code == 0


def test_a_frame_that_stays_open_is_a_fault(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(sqlite, message("C1"))
    with sqlite.write() as connection:
        connection.exec_driver_sql("UPDATE tally SET received = received + 1")
    shown = _summary(monkeypatch, sqlite, tmp_path)
    assert (shown.exit_code, _cells(shown)[0][4]) == (0, "1")  # not for a minute yet
    with sqlite.write() as connection:
        connection.exec_driver_sql("UPDATE tally SET changed_at = changed_at - 61000000")
    shown = _summary(monkeypatch, sqlite, tmp_path)
    assert (shown.exit_code, _cells(shown)[0][-1]) == (1, "open too long")


def test_an_answer_without_its_message_is_a_fault(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(sqlite, message("C1"), message("C2"), message("C3", application="NOBODY"))
    with sqlite.write() as connection:
        connection.exec_driver_sql("DELETE FROM part WHERE message_key = 2")
        connection.exec_driver_sql("DELETE FROM message WHERE key = 2")
    shown = _summary(monkeypatch, sqlite, tmp_path)
    assert (shown.exit_code, _cells(shown)[0][-1]) == (1, "answered more than is stored")


def test_an_inbox_that_is_empty_is_in_order(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = _summary(monkeypatch, sqlite, tmp_path)
    assert (shown.exit_code, len(shown.stdout.splitlines())) == (0, 1)
