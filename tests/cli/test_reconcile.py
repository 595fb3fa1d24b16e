from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from gateway.cli import main
from gateway.store.database import Database, now_micros
from gateway.store.dates import interval

LABORATORY = "https://example.org/laboratories|IGENE"
SINCE = "2026-03-01"
DAY = 86_400_000_000


class Shelf:
    """Our side: reports and parts, written straight into their tables."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.parts = 0

    def published(
        self, *numbers: str, at: str = "2026-03-04", status: str = "final",
        received: str = "2026-03-05T12:00:00Z", laboratory: str = LABORATORY,
    ) -> None:  # fmt: skip
        with self.database.write() as connection:
            for number in numbers:
                key = connection.execute(
                    text("INSERT INTO report (laboratory, number, status, clock, sent_at,"
                         " content_digest, record_class, tested_subject, published_at) VALUES"
                         " (:laboratory, :number, :status, 0, 0, '', 'nhs', 'self', :at)"
                         " RETURNING key"),
                    {"laboratory": laboratory, "number": number, "status": status,
                     "at": interval(at)[0]},
                ).scalar_one()  # fmt: skip
                part = self._part(connection, "filed", "")
                connection.execute(
                    text("INSERT INTO edition (report_key, part_key, status, clock, sent_at,"
                         " content_digest, received_at) VALUES (:key, :part, :status, 0, 0, '',"
                         " :received)"),
                    {"key": key, "part": part, "status": status,
                     "received": interval(received)[0]},
                )  # fmt: skip

    def waits(self, number: str, state: str, reason: str = "", laboratory: str = LABORATORY) -> int:
        """Put a part that names a report into a state; returns its message key."""
        with self.database.write() as connection:
            part = self._part(connection, state, reason)
            connection.execute(
                text("INSERT INTO part_report (report, part_key) VALUES (:report, :part)"),
                {"report": f"{laboratory}\n{number}", "part": part},
            )
        return part

    def _part(self, connection: Any, state: str, reason: str) -> int:
        self.parts += 1
        connection.execute(
            text("INSERT INTO message (key, received_at, source, sender, sending_application,"
                 " sending_facility, control_id, type, charset, raw, answer, reply, state, reason)"
                 " VALUES (:key, 1, 'lab', 'igene', '', '', '', '', '', :raw, 'AA', :raw,"
                 " 'accepted', '')"),
            {"key": self.parts, "raw": b""},
        )  # fmt: skip
        connection.execute(
            text("INSERT INTO part (key, message_key, ordinal, lane, state, reason, detail,"
                 " account, outcome, attempts, ready_at, changed_at) VALUES (:key, :key, 0, 'l',"
                 " :state, :reason, '[]', '[]', '[]', 1, 0, 1)"),
            {"key": self.parts, "state": state, "reason": reason},
        )  # fmt: skip
        return self.parts


@pytest.fixture
def shelf(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    url = database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("GATEWAY_DATABASE", url)
    return Shelf(database)


def _list(folder: Path, *rows: str, head: str = "report number,authorised time,CHI") -> Path:
    path = folder / "list.csv"
    path.write_bytes("\n".join((head, *rows, "")).encode())
    return path


def _run(path: Path, *options: str, laboratory: str = "IGENE") -> Result:
    arguments = ["reconcile", str(path), "--laboratory", laboratory, "--since", SINCE, *options]
    return CliRunner().invoke(main, arguments)


def _json(result: Result) -> tuple[dict[str, str], Mapping[str, int]]:
    document = json.loads(result.stdout)
    return {one["report"]: one["found"] for one in document["findings"]}, document["counts"]


def test_every_report_is_matched_missing_held_waiting_or_extra(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.published("M1", "M2", "E1")
    held, waiting = shelf.waits("H1", "held", "code"), shelf.waits("W1", "waiting", "conflict")
    path = _list(tmp_path, *(f"{one},2026-03-04T10:00:00," for one in
                             ("M1", "M2", "H1", "W1", "X1")))  # fmt: skip
    shown = _run(path)
    assert shown.exit_code == 1
    assert shown.stdout.splitlines() == [
        "found\treport\tmessage\treason",
        f"held\tH1\t{held}\tcode",
        f"waiting\tW1\t{waiting}\tconflict",
        "missing\tX1",
        "extra\tE1",
        "1 missing, 1 held, 1 waiting, 1 extra, 2 matched",
    ]
    found, counts = _json(_run(path, "--json"))
    assert found == {"H1": "held", "W1": "waiting", "X1": "missing", "E1": "extra"}
    assert counts == {"missing": 1, "held": 1, "waiting": 1, "extra": 1, "matched": 2}


def test_it_is_well_when_only_waiting_and_extra_are_left(shelf: Shelf, tmp_path: Path) -> None:
    shelf.published("M1", "E1")
    shelf.waits("W1", "received")
    assert _run(_list(tmp_path, "M1,2026-03-04,", "W1,2026-03-04,")).exit_code == 0


@pytest.mark.parametrize(
    ("state", "expected"),
    [("held", "held"), ("received", "waiting"), ("filed", "matched"), ("rejected", "matched")],
)
def test_a_newer_message_that_waits_counts_before_what_is_published(
    shelf: Shelf, tmp_path: Path, state: str, expected: str
) -> None:
    shelf.published("R1")
    shelf.waits("R1", state)
    _, counts = _json(_run(_list(tmp_path, "R1,2026-03-04,"), "--json"))
    assert [name for name, count in counts.items() if count] == [expected]


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ({"status": "entered-in-error"}, "withdrawn here"),
        ({"received": "2026-03-03T00:00:00Z"}, "only an earlier version came"),
    ],
)
def test_a_version_that_is_not_here_is_missing(
    shelf: Shelf, tmp_path: Path, report: dict[str, str], reason: str
) -> None:
    shelf.published("R1", **report)
    shown = _run(_list(tmp_path, "R1,2026-03-04T10:00:00,"), "--json")
    (finding,) = json.loads(shown.stdout)["findings"]
    assert (finding["found"], finding["reason"], shown.exit_code) == ("missing", reason, 1)


def test_what_waits_behind_a_held_message_is_waiting_once_that_is_decided(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.published("R1")
    key = shelf.waits("R2", "waiting", "blocked")
    with shelf.database.write() as connection:  # as the work leaves it
        connection.execute(text("DELETE FROM part_report"))
        connection.execute(text("UPDATE part SET awaits = :awaits WHERE key = :key"),
                           {"awaits": f"{LABORATORY}\nR2", "key": key})  # fmt: skip
    assert f"waiting\tR2\t{key}\tblocked" in _run(_list(tmp_path, "R2,2026-03-04,")).stdout


def test_what_a_person_rejected_is_missing_and_says_so(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.waits("R1", "rejected")
    shown = _run(_list(tmp_path, "R1,2026-03-04,"))
    assert f"missing\tR1\t{key}\trejected by a person" in shown.stdout


def test_only_the_period_counts_but_all_that_is_listed_is_known(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.published("OLD", at="2026-02-01")
    shelf.published("AGAIN", at="2026-03-04")
    path = _list(tmp_path, "LONG-AGO,2026-02-28T23:59:59,", "AGAIN,2026-02-01,")
    found, counts = _json(_run(path, "--json"))
    assert found == {}
    assert sum(counts.values()) == 0


def test_a_time_that_has_not_come_says_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shelf.published("R1")
    assert now_micros() < interval("2999-01-01")[0]
    assert _json(_run(_list(tmp_path, "R1,2999-01-01,"), "--json"))[1]["matched"] == 1


@pytest.mark.parametrize(
    "laboratory", ["IGENE", "igene", LABORATORY, "https://example.org/laboratories|igene"]
)
def test_a_laboratory_is_known_by_its_code_or_by_all_of_its_name(
    shelf: Shelf, tmp_path: Path, laboratory: str
) -> None:
    shelf.published("R1")
    shelf.published("R2", laboratory="Another laboratory")
    shelf.waits("H1", "held", laboratory="x|IGENE")
    found, counts = _json(
        _run(_list(tmp_path, "R1,2026-03-04,", "R2,2026-03-04,", "H1,2026-03-04,"), "--json",
             laboratory=laboratory)
    )  # fmt: skip
    assert found["R2"] == "missing"
    assert counts["matched"] == 1
    assert ("H1" in found and found["H1"] == "held") == ("//" not in laboratory)


def test_of_a_laboratory_nobody_knows_everything_is_missing(shelf: Shelf, tmp_path: Path) -> None:
    shown = _run(_list(tmp_path, "R1,2026-03-04,"), laboratory="NEW")
    assert (shown.exit_code, "missing\tR1" in shown.stdout) == (1, True)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("Report Number;Authorised;CHI", "R1;04/03/2026 10:00;"),
        ("Authorised time\tREPORT_NUMBER", "20260304100000\tR1"),
        ('"report number","authorised time"', '"R1","2026-03-04 10:00:00"'),
        ("\ufeffreport number,authorised time", "R1,2026-03-04T10:00:00Z"),
        ("number|authorised", "R1|2026-03-04T10:00:00+01:00"),
        ("report number", "R1"),
        ("report number,authorised,name", "R1,2026-03-04,\"two\nlines, and 'more'\""),
        ("report number,authorised", " R1 ,"),
    ],
)
def test_lists_of_many_shapes_are_read(shelf: Shelf, tmp_path: Path, head: str, row: str) -> None:
    shelf.published("R1")
    shown = _run(_list(tmp_path, row, head=head), "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["counts"]["matched"]) == (0, 1)
    assert not any(json.loads(shown.stdout)["unread"].values())


def test_unusual_headers_are_named_by_options(shelf: Shelf, tmp_path: Path) -> None:
    shelf.published("R1")
    path = _list(tmp_path, "R1,2026-03-04", head="Lab Ref #,Signed out")
    assert _run(path).exit_code == 1
    options = ("--number-column", "lab ref #", "--time-column", "Signed out")
    assert _run(path, *options).exit_code == 0
    assert _run(path, "--number-column", "lab ref #", "--time-column", "absent").exit_code == 1


def test_what_could_not_be_read_is_counted_and_the_report_looked_for(
    shelf: Shelf, tmp_path: Path
) -> None:
    path = _list(tmp_path, "R1,yesterday,", ",2026-03-04,1904851231", ",,", "")
    shown = _run(path)
    assert shown.exit_code == 1
    assert "missing\tR1" in shown.stdout
    assert "1 lines time not understood, 1 lines without number" in shown.stdout.replace(
        "1 lines without number, 1 lines time not understood",
        "1 lines time not understood, 1 lines without number",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"", b"1904851231,Sample\nR1,Ailsa\n", b"\0\0\0", b"\xff\xfe\x00r",
        b"report number,authorised\nR1,\"" + b"Sample" * 40_000 + b"\"\n",
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_refused_without_a_word_of_it(
    shelf: Shelf, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    shown = _run(path)
    assert shown.exit_code == 1
    assert shown.stderr.startswith("Error: ")
    assert not [word for word in ("1904851231", "Sample", "Ailsa") if word in shown.output]


def test_other_columns_are_never_shown(shelf: Shelf, tmp_path: Path) -> None:
    path = _list(tmp_path, "R1,2026-03-04,1904851231", "R1,2026-03-04,1904851231")
    for option in ((), ("--json",), ("--csv",)):
        assert "1904851231" not in _run(path, *option).output


def test_a_spreadsheet_is_given_no_formula(shelf: Shelf, tmp_path: Path) -> None:
    numbers = ["=HYPERLINK(1)", "+1", "-1", "@x", "R1"]
    path = _list(tmp_path, *(f"{one},2026-03-04," for one in numbers))
    shown = _run(path, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert sorted(row["report"] for row in rows) == sorted(
        [f"'{one}" for one in numbers[:4]] + ["R1"]
    )
    assert shown.exit_code == 1


def test_a_number_cannot_write_lines_of_its_own(shelf: Shelf, tmp_path: Path) -> None:
    path = _list(tmp_path, '"R1\nmatched\tR2\x1b[2J",2026-03-04,', "R\udcff,2026-03-04,".replace(
        "\udcff", "\u00ff"))  # fmt: skip
    shown = _run(path)
    assert len(shown.stdout.splitlines()) == 4
    assert "\x1b" not in shown.stdout


def test_bytes_that_are_no_utf8_do_not_stop_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.published("R1")
    path = tmp_path / "list.csv"
    path.write_bytes(b"report number,authorised,requester\nR1,2026-03-04,Zo\xeb\nR\xff,,\n")
    found, counts = _json(_run(path, "--json"))
    assert counts["matched"] == 1
    assert list(found.values()) == ["missing"]


def test_one_report_listed_twice_counts_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.published("R1")
    path = _list(tmp_path, "R1,2026-02-01,", "R1,2026-03-04,", "R1,2026-03-04,")
    assert _json(_run(path, "--json"))[1]["matched"] == 1


def _many(count: int) -> Iterable[str]:
    return (f"R{number},2026-03-04," for number in range(count))


def test_long_lists_take_no_more_memory(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    monkeypatch.setenv("GATEWAY_DATABASE", str(sqlite.url))
    Shelf(sqlite).published("R7")
    peaks = []
    for count in (2_000, 2_000, 40_000):  # the first fills caches
        path = _list(tmp_path, *_many(count))
        tracemalloc.start()
        shown = CliRunner().invoke(main, ["reconcile", str(path), "--laboratory", "IGENE",
                                          "--since", "2026-03-04T12:00", "--json"])  # fmt: skip
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert json.loads(shown.stdout)["findings"] == []
    assert peaks[2] < peaks[1] + 2_000_000


@pytest.mark.parametrize("options", [("--json", "--csv"), ("--since", "soon")])
def test_options_that_make_no_sense_are_refused(
    shelf: Shelf, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert _run(_list(tmp_path), *options).exit_code in (1, 2)
