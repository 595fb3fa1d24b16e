"""Who a held message could be about, and what a person does then, from a terminal."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway import demo
from gateway.cli import main
from gateway.store.database import Database
from tests.flow.mended import environment
from tests.flow.office import Desk

MORAG, HAMISH = demo._PEOPLE[:2]
BY_ANN = ("--who", "Ann Example", "--why", "a word with the ward")


@pytest.fixture
def desk(sqlite: Database, tmp_path: Path) -> Desk:
    opened = Desk(sqlite, tmp_path)
    for number, person in enumerate((MORAG, HAMISH)):
        opened.send(demo._patient(*person, number))
    return opened


def _run(desk: Desk, *words: str) -> Result:
    return CliRunner().invoke(main, ["patients", *words], env=environment(desk))


def test_what_is_held_is_listed_without_patient_data_and_shown_side_by_side(desk: Desk) -> None:
    wrong = (MORAG[0], "Testpatint^Morag", "19620102", "F")
    desk.send(demo._negative("C1", "R-1", wrong))
    listed = _run(desk, "review").stdout.splitlines()
    assert [line.split("\t")[:3] for line in listed[1:]] == [["3", "1", "patient-mismatch"]]
    assert "Testpat" not in "".join(listed)
    assert _run(desk, "review", "3").exit_code == 2  # nobody said who looks
    shown = _run(desk, "review", "3", "--who", "Ann Example")
    assert shown.exit_code == 0
    rows = {line.split("  ")[0].strip(): line for line in shown.stdout.splitlines()}
    patient = desk.resources("Patient")[0]["id"]
    assert f"Patient/{patient}" in shown.stdout
    assert rows["family name"].split()[2:4] == ["Testpatint", "Testpatient"]
    assert rows["birth date"].split()[2:4] == ["1962-01-02", "1962-01-01"]
    assert "number" in rows["agree"]
    assert "birth date" in rows["differ"]
    (journal,) = (desk.folder / "audit").glob("*.ndjson")
    event = orjson.loads(journal.read_bytes().splitlines()[-1])
    assert (event["interaction"], event["subject"]) == ("operation:review", "Ann Example")
    assert event["returned"] == [f"Patient/{patient}"]


def test_a_report_is_hidden_shown_again_and_moved(desk: Desk) -> None:
    desk.send(demo._negative("C1", "R-1", MORAG))
    report = desk.resources("DiagnosticReport")[0]["id"]
    hidden = _run(desk, "quarantine", f"DiagnosticReport/{report}", *BY_ANN)
    assert hidden.stdout == "the report is hidden\nnobody had read it\n"
    assert _run(desk, "quarantine", report, "--lift", *BY_ANN).exit_code == 0
    hamish = desk.resources("Patient")[1]["id"]
    moved = _run(desk, "refile", report, f"Patient/{hamish}", *BY_ANN)
    new = desk.resources("DiagnosticReport")[1]["id"]
    assert moved.stdout.splitlines()[0] == f"filed anew as DiagnosticReport/{new}"
    again = _run(desk, "refile", new, hamish, *BY_ANN)
    assert (again.exit_code, "already" in again.stderr) == (1, True)


def test_a_named_person_gives_a_number_that_nobody_has(desk: Desk) -> None:
    patient = desk.resources("Patient")[0]["id"]
    for number, said in (("0101625708", "no valid CHI"), (HAMISH[0], "somebody has")):
        refused = _run(desk, "number", patient, number, *BY_ANN)
        assert (refused.exit_code, said in refused.stderr) == (1, True)
    assert _run(desk, "number", patient, "9449305552", *BY_ANN).exit_code == 0
    values = [one["value"] for one in desk.resources("Patient")[0]["identifier"]]
    assert values == [MORAG[0], "9449305552"]
    assert _run(desk, "number", "nobody", "9449305552", *BY_ANN).exit_code == 1


def test_after_a_change_of_number_by_law_nobody_is_told_the_old_one(desk: Desk) -> None:
    renumbered = demo._lines(
        "MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^A47|M1|P|2.5",
        f"PID|1||0101336489^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|M", f"MRG|{MORAG[0]}^^^CHI^NH",
    )  # fmt: skip
    assert desk.send(renumbered)["state"] == "filed"
    patient = desk.resources("Patient")[0]
    assert _run(desk, "restrict", patient["id"], *BY_ANN).exit_code == 0
    rows = desk.rows("SELECT value, restricted FROM patient_identifier WHERE state = 'retired'")
    assert [(one.value, bool(one.restricted)) for one in rows] == [(MORAG[0], True)]
    assert desk.rows("SELECT 1 FROM resource_version WHERE restricted") != []
    assert MORAG[0] not in str(desk.resources("Patient")[0])
    # A report under the old number is still hers.
    assert desk.send(demo._negative("C1", "R-1", MORAG))["state"] == "filed"
    (decided,) = desk.rows("SELECT who, action FROM patient_decision")
    assert tuple(decided) == ("Ann Example", "restrict")
