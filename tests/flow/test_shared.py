"""One real organisation or person is one resource, whoever names them and however often."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway import demo
from gateway.store.database import Database
from gateway.translate.mapping import load_mappings
from tests.flow.office import MAPPINGS, Desk

PERSON = demo._PEOPLE[0]
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
GMC = "https://fhir.hl7.org.uk/Id/gmc-number"
SENDER = """
[sender]
extends = "hl7v2"
match = [{{ application = "LIMS", facility = "{0}" }}]

[sender.systems]
"report.number" = "urn:x-test:{0}:report"
"order.placer" = "urn:x-test:{0}:order"
"order.requester_person" = "urn:x-test:{0}:staff"
"report.authors" = "urn:x-test:{0}:staff"
"""


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    folder = tmp_path / "mappings"
    for name in ("hl7v2", "pas"):
        shutil.copytree(MAPPINGS / name, folder / name)
    for sender in ("NORTH", "SOUTH"):
        (folder / sender).mkdir()
        (folder / sender / "mapping.toml").write_text(SENDER.format(sender))
    opened = Desk(database, tmp_path, load_mappings(folder))
    assert opened.send(demo._patient(*PERSON, 1))["state"] == "filed"
    return opened


def _report(
    sender: str,
    number: str,
    *,
    team: str = "NHS Lothian^^^^^SS999",
    doctor: str = "",
    scientist: str = "",
) -> bytes:
    chi, name, born, sex = PERSON
    order = ["OBR", "1", f"O-{number}", number, "R208.1", "", "", "20260210", *[""] * 8, doctor,
             *[""] * 5, "20260302101500", "", "GE", "F", *[""] * 6, scientist]  # fmt: skip
    lines = (
        f"MSH|^~\\&|LIMS|{sender}|GATEWAY||20260302101500||ORU^R01|{sender}{number}|P|2.5.1",
        f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}",
        "ORC|RE" + "|" * 20 + team,
        "|".join(order),
        "OBX|1|FT|51969-4^Report^LN|1|A report.||||||F",
    )
    return "\r".join((*lines, "")).encode()


def _file(desk: Desk, *messages: bytes) -> None:
    for message in messages:
        assert desk.send(message)["state"] == "filed"


def _identifiers(desk: Desk, type_: str) -> list[tuple[str, str]]:
    return sorted(
        (one["identifier"][0]["system"], one["identifier"][0]["value"])
        for one in desk.resources(type_)
    )


def test_two_reports_name_one_requesting_team_and_one_scientist(desk: Desk) -> None:
    scientist = "SH_JJE^Edgerley^J"
    _file(
        desk,
        _report("NORTH", "1", scientist=scientist),
        _report("NORTH", "2", scientist=scientist),
    )
    assert _identifiers(desk, "Organization") == [(ODS, "SS999")]
    assert _identifiers(desk, "Practitioner") == [("urn:x-test:NORTH:staff", "SH_JJE")]
    teams = {one["requester"]["reference"] for one in desk.resources("ServiceRequest")}
    scientists = {
        one["resultsInterpreter"][0]["reference"] for one in desk.resources("DiagnosticReport")
    }
    assert len(desk.resources("DiagnosticReport")) == 2
    assert teams == {f"Organization/{desk.resources('Organization')[0]['id']}"}
    assert scientists == {f"Practitioner/{desk.resources('Practitioner')[0]['id']}"}


def test_the_codes_of_one_board_are_one_organisation_for_every_sender(desk: Desk) -> None:
    teams = ("^^^^^SG999^^^ODS", "^^SG9^^^ODS", "S08000031", "S08000021")
    for number, team in enumerate(teams):
        _file(desk, _report(("NORTH", "SOUTH")[number % 2], str(number), team=team))
    assert _identifiers(desk, "Organization") == [(ODS, "SG999")]


def test_the_staff_numbers_of_two_senders_are_two_people(desk: Desk) -> None:
    _file(
        desk,
        _report("NORTH", "1", scientist="7^Firth^Ailsa"),
        _report("SOUTH", "1", scientist="7^Brodie^Ewan"),
    )
    assert _identifiers(desk, "Practitioner") == [
        ("urn:x-test:NORTH:staff", "7"),
        ("urn:x-test:SOUTH:staff", "7"),
    ]
    names = sorted(one["name"][0]["family"] for one in desk.resources("Practitioner"))
    assert names == ["Brodie", "Firth"]


def test_a_register_number_is_one_person_for_every_sender(desk: Desk) -> None:
    doctor = "^Doctor^Jo^^^^^^GMC"
    _file(
        desk,
        _report("NORTH", "1", doctor=f"1234567{doctor}"),
        _report("SOUTH", "1", doctor=f"C1234567{doctor}"),
    )
    assert _identifiers(desk, "Practitioner") == [(GMC, "1234567")]
    assert len(desk.resources("PractitionerRole")) == 1


def test_people_without_a_number_are_named_and_never_shared(desk: Desk) -> None:
    _file(
        desk,
        _report("NORTH", "1", scientist="^Firth^Ailsa", team="A ward"),
        _report("NORTH", "2", scientist="^Firth^Ailsa", team="A ward"),
    )
    assert desk.resources("Practitioner") == []
    assert desk.resources("Organization") == []
    assert "A ward" in str(desk.resources("ServiceRequest"))
