"""Merges of patients from a terminal, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import demo
from gateway.cli import main
from gateway.store.database import Database
from tests.flow.mended import environment
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]
TWICE = ("0101336489", *MORAG[1:])
BY_ANN = ("--who", "Ann Example", "--why", "two people after all")


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    for number, person in enumerate((MORAG, TWICE)):
        opened.send(demo._patient(*person, number))
    merged = opened.send(demo._lines(
        "MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^A40|M1|P|2.5",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"MRG|{TWICE[0]}^^^CHI^NH",
    ))  # fmt: skip
    assert merged["state"] == "filed"
    return opened


def _run(desk: Desk, *words: str) -> Result:
    return CliRunner().invoke(main, ["patients", *words], env=environment(desk))


def test_a_merge_is_listed_and_taken_back_by_a_named_person(desk: Desk) -> None:
    desk.send(demo._germline("C1", "R-1", MORAG, "20260302101500", "F", "Advice."))
    (line,) = _run(desk, "merges").stdout.splitlines()[1:]
    merge, _, message, *_, state = line.split("\t")
    assert (message, state) == ("3", "stands")
    assert _run(desk, "unmerge", merge, "--why", "no name").exit_code == 2
    shown = _run(desk, "unmerge", merge, *BY_ANN)
    assert shown.exit_code == 0
    report = desk.resources("DiagnosticReport")[0]["id"]
    assert f"DiagnosticReport/{report}" in shown.stdout
    assert _run(desk, "merges").stdout.splitlines()[1].endswith("\tundone")
    again = _run(desk, "unmerge", merge, *BY_ANN)
    assert (again.exit_code, "undone already" in again.stderr) == (1, True)
    decided = CliRunner().invoke(main, ["messages", "show", message], env=environment(desk))
    assert "\tunmerge\tAnn Example\ttwo people after all" in decided.stdout


def test_an_unknown_merge_is_an_error(desk: Desk) -> None:
    shown = _run(desk, "unmerge", "99", *BY_ANN)
    assert (shown.exit_code, "there is no such merge" in shown.stderr) == (1, True)
