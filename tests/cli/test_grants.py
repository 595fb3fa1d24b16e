from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from gateway.access.caller import Caller
from gateway.access.policy import access
from gateway.cli import main
from gateway.errors import NotFound
from gateway.store import resources
from gateway.store.database import Database, now_micros
from tests.store.records import add_patient, add_report

Run = Callable[..., Result]
BY = ("--who", "Rowan", "--why", "joint clinic")
ADA = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), boards=("B1",))


@pytest.fixture
def run(sqlite: Database, tmp_path: Path) -> Run:
    with sqlite.write() as connection:
        alice = add_patient(connection, "alice", "0101625707")
        for name in ("a1", "a2"):
            add_report(connection, name, "alice", alice)
            connection.execute(text(
                "INSERT INTO report (laboratory, number, patient_key, status, clock, sent_at,"
                " content_digest, record_class, tested_subject)"
                f" VALUES ('lab', '{name}', {alice}, 'final', 0, 0, '', 'nhs', 'self')"
            ))  # fmt: skip
            connection.execute(text(
                "INSERT INTO identity (owner, role, type, id) SELECT key, 'DiagnosticReport',"
                f" 'DiagnosticReport', number FROM report WHERE number = '{name}'"
            ))  # fmt: skip
            connection.execute(text(
                "UPDATE resource SET owner = (SELECT key FROM report WHERE number = :name)"
                " WHERE id LIKE :like"
            ), {"name": name, "like": f"{name}%"})  # fmt: skip

    def ran(*words: str) -> Result:
        return CliRunner().invoke(main, ["grant", *words], env={"GATEWAY_DATA": str(tmp_path)})

    return ran


def _sees(database: Database, id_: str) -> bool:
    with database.read() as connection:
        try:
            resources.read(connection, access(ADA, now=now_micros()), "DiagnosticReport", id_)
        except NotFound:
            return False
    return True


def test_a_grant_opens_a_patient_until_it_is_revoked(run: Run, sqlite: Database) -> None:
    assert not _sees(sqlite, "a1")
    made = run("add", "--to", "person:ada", "--patient", "alice", "--hours", "2", *BY)
    assert made.exit_code == 0, made.output
    assert _sees(sqlite, "a1")
    assert _sees(sqlite, "a2")
    key = made.output.split()[1]
    listed = run("list").output.splitlines()[1].split("\t")
    assert (listed[0], listed[2], listed[3], listed[6]) == (
        key, "person:ada", "Patient/alice", "Rowan"
    )  # fmt: skip
    assert run("revoke", key, *BY).exit_code == 0
    assert not _sees(sqlite, "a1")
    assert "no such grant" in run("revoke", key, *BY).output


def test_a_grant_of_one_report_opens_just_that(run: Run, sqlite: Database) -> None:
    made = run("add", "--to", "person:ada", "--report", "a1", "--hours", "1", *BY)
    assert made.exit_code == 0, made.output
    assert (_sees(sqlite, "a1"), _sees(sqlite, "a2")) == (True, False)
    assert "DiagnosticReport/a1" in run("list").output


def test_a_board_that_treats_a_patient_is_told_by_hand(run: Run, sqlite: Database) -> None:
    treats = ("relate", "alice", "--party", "B1", "--who", "Rowan")
    assert run(*treats).exit_code == 0
    assert _sees(sqlite, "a1")
    assert run(*treats, "--end").exit_code == 0
    assert not _sees(sqlite, "a1")
    assert run(*treats, "--end").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--to", "ada", "--patient", "alice", "--hours", "1"),
        ("--to", "person:", "--patient", "alice", "--hours", "1"),
        ("--to", "person:ada", "--patient", "nobody", "--hours", "1"),
        ("--to", "person:ada", "--report", "none", "--hours", "1"),
        ("--to", "person:ada", "--patient", "alice", "--report", "a1", "--hours", "1"),
        ("--to", "person:ada", "--hours", "1"),
        ("--to", "person:ada", "--patient", "alice", "--hours", "0"),
    ],
)
def test_a_grant_that_cannot_be_is_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run("add", *words, *BY).exit_code != 0
    assert len(run("list").output.splitlines()) == 1


def test_what_is_granted_is_audited(run: Run, tmp_path: Path) -> None:
    run("add", "--to", "team:T1", "--patient", "alice", "--hours", "1", *BY)
    lines = b"".join(path.read_bytes() for path in (tmp_path / "audit").glob("*.ndjson"))
    assert b'"interaction":"grant","target":"Patient/alice"' in lines
    assert b'"subject":"Rowan"' in lines
