from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway import demo
from gateway.cli import main
from gateway.store.audit import Event, Journal
from gateway.store.database import Database, now_micros
from gateway.store.schema import upgrade
from tests.flow.office import Desk

CALLUM = demo._PEOPLE[2]


def run(data: Path, *words: str, code: int = 0, **more: str) -> Result:
    result = CliRunner().invoke(main, list(words), env={"GATEWAY_DATA": str(data)}, **more)  # type: ignore[arg-type]
    assert result.exit_code == code, result.output
    return result


def events(data: Path) -> list[dict[str, str]]:
    lines = run(data, "audit", "search", "--json").stdout.splitlines()
    return [orjson.loads(line) for line in lines]


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store where somebody read a patient; (its folder, the patient's id)."""
    folder = tmp_path_factory.mktemp("audited") / "data"
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'gateway.db'}")
    upgrade(database)
    desk = Desk(database, folder)
    desk.send(demo._patient(*CALLUM, 1))
    assert desk.send(demo._pdf("P1", "IG-3", demo._PEOPLE[1]))["state"] == "held"
    with database.read() as connection:
        id_ = connection.exec_driver_sql("SELECT id FROM patient").scalar_one()
    journal = Journal(folder / "audit", database)
    for status in (200, 403):
        journal.record(Event(now_micros(), "ehr", "read", f"Patient/{id_}", status))
    journal.close()
    database.close()
    return folder, str(id_)


@pytest.fixture
def data(filed: tuple[Path, str], tmp_path: Path) -> Path:
    shutil.copytree(filed[0], tmp_path / "data")
    return tmp_path / "data"


def test_who_read_a_patient_is_told_by_id_and_by_chi(filed: tuple[Path, str], data: Path) -> None:
    chi, id_ = CALLUM[0], filed[1]
    assert chi.isdigit()
    by_chi = run(data, "audit", "search", "--chi", input=f"{chi}\n")
    assert by_chi.stdout.count(f"Patient/{id_}") >= 2
    assert chi not in by_chi.output
    by_id = run(data, "audit", "search", "--patient", id_, "--client", "ehr", "--json").stdout
    found = [orjson.loads(line) for line in by_id.splitlines()]
    assert [one["status"] for one in found] == [403, 200]
    assert {tuple(one["patients"]) for one in found} == {(id_,)}
    run(data, "audit", "search", "--patient", "nobody", code=1)
    # Looking is recorded, and with whom it was about; the number is nowhere.
    looked = [one for one in events(data) if one["interaction"] == "audit-search"]
    assert [(one["status"], one["patients"]) for one in looked] == [
        (404, []), (200, [id_]), (200, [id_]),
    ]  # fmt: skip
    assert not any(chi in path.read_text() for path in (data / "audit").iterdir())


def test_an_export_is_json_lines_of_audit_events_or_of_what_was_recorded(data: Path) -> None:
    lines = run(data, "audit", "export", "--since", "2026-01-01").stdout.splitlines()
    resources = [orjson.loads(line) for line in lines]
    assert {one["resourceType"] for one in resources} == {"AuditEvent"}
    assert [one["recorded"] for one in resources] == sorted(one["recorded"] for one in resources)
    raw = run(data, "audit", "export", "--since", "2026-01-01", "--raw").stdout.splitlines()
    assert orjson.loads(raw[0])["client"] == "ehr"
    assert len(raw) == len(lines) + 1  # the first export
    assert run(data, "audit", "export", "--since", "2999-01-01").stdout == ""
    run(data, "audit", "export", "--since", "yesterday", code=1)


def test_a_verification_says_what_is_wrong_and_where(data: Path) -> None:
    assert "lines sealed" in run(data, "audit", "seal").stdout
    assert "the audit is sound" in run(data, "audit", "verify").stdout
    head = run(data, "audit", "head").stdout.strip()
    run(data, "audit", "verify", "--head", head)
    path = next(iter((data / "audit").iterdir()))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"status":403', b'"status":200'))
    assert f"altered\t{path.name}:3" in run(data, "audit", "verify", code=1).stdout
    told = orjson.loads(run(data, "audit", "verify", "--json", code=1).stdout)
    assert (told["sound"], told["faults"][0]["what"]) == (False, "altered")
    path.write_bytes(content[:-5])
    assert "dropped" in run(data, "audit", "verify", code=1).stdout
    path.write_bytes(content)
    foreign = f"1:{'0' * 64}"
    assert "head that was kept" in run(data, "audit", "verify", "--head", foreign, code=1).stdout
    run(data, "audit", "verify", "--head", "nothing", code=1)


def test_a_torn_last_line_is_told_and_is_no_fault(data: Path) -> None:
    path = next(iter((data / "audit").iterdir()))
    with path.open("ab") as file:
        file.write(b'{"digest":"')
    said = run(data, "audit", "verify").stdout
    assert f"torn\t{path.name}:4" in said
    assert "the audit is sound" in said


def test_decisions_of_people_are_recorded_done_or_refused(data: Path) -> None:
    who = ("--who", "Ann Other", "--why", "looked into")
    run(data, "messages", "release", "2", *who)
    run(data, "messages", "release", "2", *who, code=1)
    run(data, "messages", "reject", "99", *who, code=1)
    run(data, "patients", "unmerge", "7", *who, code=1)
    run(data, "messages", "replay", "1", "--dry-run", "--values")
    told = [(one["interaction"], one["target"], one["status"], one.get("subject", ""))
            for one in events(data) if one["client"] != "ehr"]  # fmt: skip
    assert told == [
        ("replay", "message/1", 200, ""),
        ("unmerge", "merge/7", 404, "Ann Other"),
        ("reject", "message/99", 404, "Ann Other"),
        ("release", "message/2", 400, "Ann Other"),
        ("release", "message/2", 200, "Ann Other"),
    ]


def test_a_backup_carries_journals_seals_and_index(data: Path, tmp_path: Path) -> None:
    run(data, "audit", "seal")
    head = run(data, "audit", "head").stdout.strip()
    run(data, "backup", str(tmp_path / "b.tar"))
    new = tmp_path / "new"
    run(new, "restore", str(tmp_path / "b.tar"))
    assert "or the folder of keys is another" in run(new, "audit", "verify", code=1).stdout
    shutil.rmtree(new / "keys")
    shutil.copytree(data / "keys", new / "keys")
    run(new, "audit", "verify", "--head", head)
    told = [one["interaction"] for one in events(new)]
    assert told == ["restore", "backup", "read", "read"]
    run(new, "audit", "verify")


def test_files_that_nobody_announced_are_adopted_by_a_person(data: Path) -> None:
    journal = Journal(data / "audit")
    journal.record(Event(1, "old", "read", "Patient/x", 200))
    journal.close()
    assert "no process announced" in run(data, "audit", "verify", code=1).stdout
    assert "1 files adopted" in run(data, "audit", "seal", "--adopt").stdout
    run(data, "audit", "verify")
    assert {one["client"] for one in events(data)} >= {"old", "ehr"}
