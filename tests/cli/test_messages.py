"""The inbox from a terminal, as a person uses it, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from gateway import demo
from gateway.cli import main
from gateway.errors import Hold
from gateway.store.database import Database
from tests.flow.mended import NO_PRESENT, WRONG_CLASS, broken, environment, mend
from tests.flow.office import MAPPINGS, Desk
from tests.test_readme import table

MORAG = demo._PEOPLE[0]
BORN = MORAG[2].encode()
BY_ANN = ("--who", "Ann Example", "--why", "table mended")
BY_BEA = ("--who", "Bea Example", "--why", "looked at it")


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _result(control: str = "C1", number: str = "R-1", when: str = "20260302101500") -> bytes:
    return demo._germline(control, number, MORAG, when, "F", "Advice.")


def _run(desk: Desk, *words: str | int, mappings: Path = MAPPINGS) -> Result:
    command = ["messages", *map(str, words)]
    return CliRunner().invoke(main, command, env=environment(desk, mappings))


def _fine(shown: Result) -> str:
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def _cells(shown: Result) -> list[dict[str, str]]:
    heads, *lines = (line.split("\t") for line in _fine(shown).splitlines())
    return [dict(zip(heads, cells, strict=True)) for cells in lines]


def _held(desk: Desk, control: str = "C1", number: str = "R-1", source: str = "test") -> int:
    row = desk.send(_result(control, number).replace(BORN, b"19620102"), source)
    assert row["state"] == "held"
    return int(row["key"])


def _state(desk: Desk, key: int) -> str:
    return str(desk.rows(f"SELECT state FROM part WHERE message_key = {key}")[0].state)


def test_a_list_is_narrowed_by_what_is_asked_for(desk: Desk) -> None:
    first, second = _held(desk), _held(desk, "C2", "R-2", "other")
    desk.send(_result("C3", "R-3"))

    def keys(*words: str) -> list[int]:
        return [int(row["key"]) for row in _cells(_run(desk, "list", *words))]

    assert len(keys()) == 4
    assert keys("--state", "held") == [second, first]
    assert keys("--state", "held", "--oldest-first") == [first, second]
    assert keys("--source", "other") == [second]
    assert keys("--reason", "patient-mismatch", "--sender", "lri") == [second, first]
    assert keys("--sender", "igene") == keys("--reason", "code") == []


def test_a_list_has_pages(desk: Desk) -> None:
    keys = [_held(desk, f"C{one}", f"R-{one}") for one in range(5)]
    seen: list[int] = []
    after: list[str] = []
    while len(seen) < 5:
        shown = _run(desk, "list", "--state", "held", "--limit", 2, "--oldest-first", *after)
        seen += [int(row["key"]) for row in _cells(shown)]
        after = shown.stderr.split()[1:]
    assert seen == keys


def test_how_long_a_part_is_held_is_shown_and_asked_for(desk: Desk) -> None:
    first, second = _held(desk), _held(desk, "C2", "R-2")
    with desk.database.write() as connection:
        connection.execute(
            text("UPDATE part SET changed_at = changed_at - 7500000000 WHERE message_key = :key"),
            {"key": first},
        )
    (old,) = _cells(_run(desk, "list", "--older-than", "2h"))
    assert (int(old["key"]), old["held for"]) == (first, "2h 05m")
    rows = _cells(_run(desk, "list", "--state", "held"))
    assert [row["held for"] for row in rows] == ["0m", "2h 05m"]
    assert int(rows[0]["key"]) == second
    assert _cells(_run(desk, "list", "--state", "filed"))[0]["held for"] == ""
    assert _run(desk, "list", "--older-than", "soon").exit_code == 2


def test_what_a_sender_writes_does_not_move_the_cursor(desk: Desk) -> None:
    desk.accept(_result().replace(b"|ORU^R01^ORU_R01|C1|", b"|ORU^R01^\x1b[2J|C\x1b[31m|"))
    for words in (("list",), ("show", 2)):
        assert "\x1b" not in _run(desk, *words).output


def test_a_released_message_goes_back_to_work(desk: Desk) -> None:
    key = _held(desk)
    assert "goes back to work" in _fine(_run(desk, "release", key, *BY_ANN))
    assert _state(desk, key) == "received"
    shown = _run(desk, "release", key, *BY_BEA)
    assert (shown.exit_code, "it is received" in shown.stderr) == (1, True)


def test_a_rejected_message_is_final_and_shows_who_and_why(desk: Desk) -> None:
    key = _held(desk)
    _fine(_run(desk, "reject", key, "--part", 1, *BY_ANN))
    assert _state(desk, key) == "rejected"
    shown = _fine(_run(desk, "show", key))
    assert "\tpart 1\treject\tAnn Example\ttable mended" in shown
    assert "PID-7 (Date Time Of Birth)" in shown
    assert _run(desk, "release", key, *BY_BEA).exit_code == 1


@pytest.mark.parametrize("command", ["release", "reject", "replay"])
def test_a_decision_without_a_name_is_none(desk: Desk, command: str) -> None:
    key = _held(desk)
    assert _run(desk, command, key, "--why", "because").exit_code != 0
    assert _run(desk, command, key, "--who", " ", "--why", "because").exit_code == 1
    assert _state(desk, key) == "held"
    assert desk.rows("SELECT * FROM decision") == []


def test_a_message_that_is_not_there_is_an_error(desk: Desk) -> None:
    for words in (("show", 99), ("release", 99, *BY_ANN), ("replay", 99, *BY_ANN)):
        shown = _run(desk, *words)
        assert (shown.exit_code, "there is no such message" in shown.stderr) == (1, True)


def test_held_messages_of_a_sender_are_replayed_together(desk: Desk, tmp_path: Path) -> None:
    other = _held(desk, "C9", "R-9")
    broken(desk, tmp_path, NO_PRESENT)
    keys = [int(desk.send(_result(f"C{one}", f"R-{one}"))["key"]) for one in range(2)]
    several = ("replay", "--sender", "lri", "--reason", "code")
    looked = _fine(_run(desk, *several, "--dry-run"))
    assert looked.splitlines()[-1] == "2 would change"
    assert "  added\tDiagnosticReport (new)\tDiagnosticReport\n" in looked
    assert [_state(desk, key) for key in keys] == ["held", "held"]
    done = _fine(_run(desk, *several, *BY_ANN))
    assert done.splitlines()[-1] == "2 filed"
    assert "NM_000059" not in done
    assert [_state(desk, key) for key in (*keys, other)] == ["filed", "filed", "held"]
    assert _fine(_run(desk, *several, *BY_ANN)) == "none\n"


def test_a_replay_that_is_held_again_says_why(desk: Desk) -> None:
    key = _held(desk)
    shown = _run(desk, "replay", key, *BY_ANN)
    assert shown.exit_code == 1
    assert "is still held\n  patient-mismatch: PID-7 (Date Time Of Birth): " in shown.stdout


def _proposed(desk: Desk, folder: Path) -> tuple[int, str]:
    place = broken(desk, folder, WRONG_CLASS)
    key = int(desk.send(_result())["key"])
    mend(desk, place, WRONG_CLASS)
    shown = _fine(_run(desk, "replay", key, *BY_ANN))
    (digest,) = re.findall(r"--confirm ([0-9a-f]{64})$", shown, re.MULTILINE)
    return key, digest


def test_what_is_published_changes_only_when_another_person_confirms(
    desk: Desk, tmp_path: Path
) -> None:
    key, digest = _proposed(desk, tmp_path)
    refused = _run(desk, "replay", "--confirm", digest, *BY_ANN)
    assert (refused.exit_code, "a second person" in refused.stderr) == (1, True)
    assert desk.resources("DiagnosticReport")[0]["status"] == "final"
    done = _fine(_run(desk, "replay", "--confirm", digest, *BY_BEA))
    assert done.splitlines()[-1] == "1 filed"
    assert desk.resources("DiagnosticReport")[0]["status"] == "amended"
    shown = _fine(_run(desk, "show", key))
    assert f"\tpropose\tAnn Example\ttable mended [{digest}]" in shown
    assert f"\treplay\tBea Example\tlooked at it [{digest}]" in shown
    again = _run(desk, "replay", "--confirm", digest, *BY_BEA)
    assert (again.exit_code, "nothing is proposed" in again.stderr) == (1, True)
    unchanged = _fine(_run(desk, "replay", "--sender", "lri", "--all-filed", *BY_ANN))
    assert unchanged.splitlines()[-1] == "1 unchanged"


def test_a_difference_that_changed_is_not_confirmed(desk: Desk, tmp_path: Path) -> None:
    _, digest = _proposed(desk, tmp_path)
    place = broken(desk, tmp_path / "other", WRONG_CLASS)
    shown = _run(desk, "replay", "--confirm", digest, *BY_BEA, mappings=place)
    assert (shown.exit_code, "not the one that was proposed" in shown.stderr) == (1, True)
    assert desk.resources("DiagnosticReport")[0]["status"] == "final"


def test_values_are_shown_only_when_they_are_asked_for(desk: Desk, tmp_path: Path) -> None:
    key, _ = _proposed(desk, tmp_path)
    plain = _fine(_run(desk, "replay", key, "--dry-run"))
    path = "component[0].valueCodeableConcept.coding[0].code"
    assert f"\timplication\t{path}, " in plain
    assert not re.search(r"LA6668|LA26332|Pathogenic|NM_|HGNC", plain)
    values = _fine(_run(desk, "replay", key, "--dry-run", "--values"))
    assert f'    {path}: "LA26332-9" -> "LA6668-3"' in values
    assert "NM_000059.4:c.5946del" in values


@pytest.mark.parametrize(
    "words",
    [(), ("1", "--sender", "lri"), ("1", "--confirm", "0"), ("1", "2", "--part", "1"),
     ("--all-filed", "--reason", "code"), ("--confirm", "0", "--dry-run")],
)  # fmt: skip
def test_a_replay_that_is_not_clear_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    assert _run(desk, "replay", *words, *BY_ANN).exit_code == 2


def test_a_back_load_is_filed_and_shown_as_one(desk: Desk) -> None:
    desk.accept(_result())
    with desk.database.write() as connection:
        connection.execute(text("UPDATE message SET back_load = :yes"), {"yes": True})
    desk.work()
    assert _state(desk, 2) == "filed"
    assert "back-load" in _fine(_run(desk, "show", 2))


def test_the_readme_explains_every_reason_for_which_a_message_is_held() -> None:
    rows = table("Held messages")
    assert [row[0] for row in rows] == [f"`{one}`" for one in Hold]
    assert all(len(row) == 3 and all(row) for row in rows)
