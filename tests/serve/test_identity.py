"""The gateway as a supplier of identities: $match (PDQm), $ihe-pix (PIXm) and the feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.config import CHI_SYSTEM
from gateway.serve.fhir.views import fhir_blueprint
from gateway.serve.server import Server
from tests.serve.conftest import journal_lines

CHI, TWIN = "0101336489", "0109560000"
ALIAS = "http://fhir.nhs.scot.uk/Id/national/chi-number"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


def _patient(chi: str = "", family: str = "Brodie", given: str = "Ailsa", **more: Any) -> Any:
    content = {"resourceType": "Patient", "name": [{"family": family, "given": [given]}],
               "gender": "female", "birthDate": "1933-01-01", **more}  # fmt: skip
    if chi:
        content["identifier"] = [{"system": ALIAS, "value": chi}]
    return content


@pytest.fixture
def feed(server: Server, grant: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """The feed of a client that keeps the index."""
    header = grant("system/Patient.crus")
    keeper = header["Authorization"].partition(" ")[2]
    trusting = replace(server, settings=replace(server.settings, patient_clients=(keeper,)))
    app = Flask("test")
    app.register_blueprint(fhir_blueprint(trusting))
    client = app.test_client()

    def send(chi: str, content: Any, condition: str = "") -> Any:
        url = f"/fhir/Patient?identifier={condition or f'{CHI_SYSTEM}|{chi}'}"
        return client.put(url, json=content, headers=header)

    return send


def _match(client: FlaskClient, patient: Any, **more: Any) -> list[tuple[str, str, float]]:
    parameters = [{"name": "resource", "resource": patient}]
    parameters += [{"name": name, f"value{kind}": value} for name, (kind, value) in more.items()]
    answer = client.post("/fhir/Patient/$match",
                         json={"resourceType": "Parameters", "parameter": parameters})  # fmt: skip
    assert answer.status_code == 200
    bundle = answer.get_json()
    assert bundle["total"] == len(bundle.get("entry", []))
    return [
        (one["resource"]["name"][0]["given"][0], one["search"]["extension"][0]["valueCode"],
         one["search"]["score"])
        for one in bundle.get("entry", [])
    ]  # fmt: skip


def test_a_trusted_client_feeds_a_patient_once_and_then_changes_it(
    client: FlaskClient, feed: Callable[..., Any]
) -> None:
    made = feed(CHI, _patient(CHI))
    assert (made.status_code, made.headers["ETag"]) == (201, 'W/"1"')
    assert feed(CHI, _patient(CHI, "Reid")).status_code == 200
    place = made.headers["Location"].partition("/_history")[0]
    shown = client.get(place).get_json()
    assert shown["name"][0]["family"] == "Reid"
    assert shown["identifier"][0]["system"] == CHI_SYSTEM


@pytest.mark.parametrize(
    ("content", "condition", "status"),
    [
        (_patient(TWIN), "", 400),
        (_patient(CHI), "x", 400),
        (_patient("0101336480"), f"{CHI_SYSTEM}|0101336480", 422),
        ({"resourceType": "Group"}, "", 422),
        ([], "", 400),
        (_patient(CHI, name="Ailsa"), "", 422),
    ],
)
def test_what_the_feed_cannot_take_is_refused(
    feed: Callable[..., Any], content: Any, condition: str, status: int
) -> None:
    assert feed(CHI, content, condition).status_code == status


def test_a_client_that_may_only_read_feeds_nothing(client: FlaskClient) -> None:
    answer = client.put(f"/fhir/Patient?identifier={CHI_SYSTEM}|{CHI}", json=_patient(CHI))
    assert answer.status_code == 403


def test_matches_are_graded_and_certain_only_by_the_rules_for_filing(
    client: FlaskClient, feed: Callable[..., Any], server: Server
) -> None:
    feed(CHI, _patient(CHI))
    feed(TWIN, _patient(TWIN, given="Isla"))
    found = _match(client, _patient(CHI))
    assert [one[:2] for one in found] == [("Ailsa", "certain"), ("Isla", "possible")]
    assert found[0][2] == 1.0 > found[1][2]
    # Without a number nobody is certain, however like.
    assert _match(client, _patient())[0][:2] == ("Ailsa", "probable")
    assert _match(client, _patient(), onlyCertainMatches=("Boolean", True)) == []
    assert len(_match(client, _patient(CHI), count=("Integer", 1))) == 1
    wrong = _match(client, _patient(CHI, given="Isla"))
    assert {grade for _, grade, _ in wrong} == {"probable"}
    line = journal_lines(server)[-1]
    assert (line["interaction"], len(line["returned"])) == ("operation:match", 2)
    assert "Brodie" not in str(line)


def test_a_match_needs_the_scope_and_a_patient(
    client: FlaskClient, grant: Callable[..., dict[str, str]]
) -> None:
    header = grant("system/Patient.r")
    assert client.post("/fhir/Patient/$match", json=_patient(), headers=header).status_code == 403
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"resourceType":"Parameters"}', 422)):
        answer = client.post("/fhir/Patient/$match", data=body, content_type="application/json")
        assert answer.status_code == status


def test_an_identifier_leads_to_the_others_of_the_patient(
    client: FlaskClient, feed: Callable[..., Any]
) -> None:
    nhs = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9449305552"}
    content = _patient(CHI)
    content["identifier"].append(nhs)
    place = feed(CHI, content).headers["Location"].partition("/fhir/")[2].partition("/_history")[0]
    pix = f"/fhir/Patient/$ihe-pix?sourceIdentifier={ALIAS}|{CHI}"
    found = client.get(pix).get_json()["parameter"]
    assert found == [
        {"name": "targetIdentifier", "valueIdentifier": nhs},
        {"name": "targetId", "valueReference": {"reference": place}},
    ]
    assert len(client.get(f"{pix}&targetSystem=urn:oid:1.2").get_json()["parameter"]) == 1
    nobody = f"/fhir/Patient/$ihe-pix?sourceIdentifier={ALIAS}|{TWIN}"
    assert client.get(nobody).status_code == 404
    assert client.get("/fhir/Patient/$ihe-pix?sourceIdentifier=1").status_code == 400
