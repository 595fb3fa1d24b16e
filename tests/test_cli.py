"""The command, as a person at a terminal uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fhir.resources.R4B import get_fhir_model_class

from gateway.cli import main
from gateway.config import Settings
from gateway.receive.mllp import MllpListener
from gateway.store.database import Database, now_micros
from tests.receive.door import intake, message, rows

EXAMPLES = Path(__file__).parent.parent / "mappings"
POSITIVE = EXAMPLES / "lri/examples/germline-positive.hl7"
NEGATIVE = EXAMPLES / "lri/examples/negative.hl7"


def _run(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=given)


def test_translate_writes_json_for_people_and_a_line_for_programs() -> None:
    shown = _run("translate", POSITIVE)
    lines = _run("translate", "--ndjson", POSITIVE, NEGATIVE)
    assert (shown.exit_code, lines.exit_code) == (0, 0)
    first, second = lines.stdout.splitlines()
    assert json.loads(shown.stdout) == json.loads(first)
    assert json.loads(second)["resourceType"] == "Bundle"


def test_translate_writes_xml() -> None:
    shown = _run("translate", "--format", "xml", POSITIVE)
    bundle = get_fhir_model_class("Bundle").model_validate_xml(shown.stdout_bytes)
    written = json.loads(_run("translate", POSITIVE).stdout)
    assert [one.fullUrl for one in bundle.entry] == [one["fullUrl"] for one in written["entry"]]
    assert _run("translate", "--format", "xml", "--ndjson", POSITIVE).exit_code == 2


def test_translate_reads_standard_input() -> None:
    shown = _run("translate", "-", given=POSITIVE.read_bytes())
    assert shown.stdout == _run("translate", POSITIVE).stdout


def test_explain_accounts_for_every_observed_value() -> None:
    shown = _run("translate", "--explain", NEGATIVE)
    lines = dict(line.split("\t") for line in shown.stdout.splitlines() if "\t" in line)
    sent = NEGATIVE.read_bytes().count(b"\rOBX|")
    assert {f"OBX[{number}]-5" for number in range(1, sent + 1)} == set(lines)
    assert shown.stdout.splitlines()[-1] == f"accounted: {sent} of {sent} ({sent} translated)"


def test_what_cannot_be_translated_is_said_by_place_and_the_rest_goes_on(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.hl7"
    rubbish.write_bytes(b"hello")
    shown = _run("translate", "--ndjson", rubbish, POSITIVE)
    assert shown.exit_code == 1
    assert len(shown.stdout.splitlines()) == 1
    assert "rubbish.hl7: MSH: " in shown.stderr
    assert _run("translate", tmp_path / "absent.hl7").exit_code != 0


def test_a_place_is_named_as_the_standard_names_it(tmp_path: Path) -> None:
    odd = tmp_path / "odd.hl7"
    raw = NEGATIVE.read_bytes().replace(b"||||F", b"||||?")
    assert raw != NEGATIVE.read_bytes()
    odd.write_bytes(raw)
    shown = _run("translate", odd)
    assert shown.exit_code == 1
    assert "OBX[1]-11 (Observation Result Status)" in shown.stderr


def test_send_shows_each_answer(sqlite: Database, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.hl7", tmp_path / "bad.hl7"
    good.write_bytes(message().replace(b"\r", b"\n"))
    bad.write_bytes(message(kind="MDM^T02"))
    listener = MllpListener("127.0.0.1", 0, intake(sqlite), Settings(), now_micros)
    listener.start()
    try:
        target = f"mllp://127.0.0.1:{listener.port}"
        fine = _run("send", good, "--to", target)
        refused = _run("send", good, bad, "--to", target)
    finally:
        listener.stop()
    assert (fine.exit_code, refused.exit_code) == (0, 1)
    assert "MSA|AA" in fine.stdout
    assert "MSA|AR" in refused.stdout
    assert [row.state for row in rows(sqlite)] == ["accepted", "duplicate", "rejected"]
    assert _run("send", good, "--to", "127.0.0.1:1").exit_code == 2
    assert _run("send", good, "--to", target).exit_code == 1


@pytest.mark.parametrize("command", [["db", "check"], ["messages", "list"]])
def test_a_wrong_setting_is_named_and_nothing_else_happens(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("GATEWAY_NOSUCH", "secret")
    shown = _run(*command)
    assert shown.exit_code == 1
    assert "GATEWAY_NOSUCH" in shown.stderr
    assert "secret" not in shown.output


def test_two_reports_of_one_message_are_two_in_the_bundle(tmp_path: Path) -> None:
    both = tmp_path / "both.hl7"
    raw = NEGATIVE.read_bytes()
    body = raw[raw.index(b"OBR|") :]
    both.write_bytes(raw + body.replace(b"LRI-2", b"LRI-3"))
    shown = _run("translate", both)
    bundle = json.loads(shown.stdout)
    reports = [
        one["resource"] for one in bundle["entry"]
        if one["resource"]["resourceType"] == "DiagnosticReport"
    ]  # fmt: skip
    assert [one["identifier"][0]["value"] for one in reports] == ["LRI-2", "LRI-3"]
    assert len({one["fullUrl"] for one in bundle["entry"]}) == len(bundle["entry"])
    kinds = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert (kinds.count("Patient"), kinds.count("ServiceRequest")) == (1, 2)


@pytest.mark.parametrize(
    "command",
    [
        ("client", "list"),
        ("user", "list"),
        ("user", "show", "morag"),
        ("messages", "list"),
        ("grant", "list"),
        ("patients", "merges"),
    ],
)
def test_a_command_says_that_the_schema_must_be_upgraded_first(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    shown = _run(*command)
    assert shown.exit_code == 1
    assert "the database needs `gateway db upgrade`" in shown.stderr
