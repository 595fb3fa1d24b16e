"""$everything, $document, $validate, $translate, $expand, as clients ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.fhir.conformance.package import load_definitions, shipped_folder
from gateway.fhir.conformance.validator import Validator
from gateway.serve.server import Server
from gateway.store.resources import NewVersion, save
from tests.serve.test_fhir import issue
from tests.serve.test_writes import TASK
from tests.store.records import NOW, refer, report, restrict

Json = dict[str, Any]
Grant = Callable[..., dict[str, str]]
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>No variant was found.</p></div>'


def names(bundle: Json) -> list[str]:
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]]


# -- everything -----------------------------------------------------------------------------


def test_everything_is_the_record_of_one_patient_page_by_page(
    client: FlaskClient, server: Server
) -> None:
    whole = client.get("/fhir/Patient/alice/$everything").json
    assert whole["type"] == "searchset"
    assert whole["total"] == len(whole["entry"]) == 11
    assert names(whole)[0] == "Patient/alice"
    assert not [name for name in names(whole) if "/b" in name]
    url, seen = "/fhir/Patient/alice/$everything?_count=4", []
    while url:
        page = client.get(url).json
        seen += names(page)
        links = {link["relation"]: link["url"] for link in page["link"]}
        url = links.get("next", "").removeprefix(server.settings.base_url)
    assert seen == names(whole)


def test_everything_is_narrowed_by_type_and_time(client: FlaskClient) -> None:
    path = "/fhir/Patient/alice/$everything"
    assert len(names(client.get(f"{path}?_type=DiagnosticReport,Binary").json)) == 4
    since = client.get(f"{path}?_since=2025-10-09T08:53:21Z").json
    assert names(since) == ["DiagnosticReport/a1"]
    assert issue(client.get(f"{path}?_since=never"), 400)["location"] == ["_since"]
    assert issue(client.get(f"{path}?_type=Spaceship"), 404)
    assert issue(client.get("/fhir/Patient/nobody/$everything"), 404)


# -- document -------------------------------------------------------------------------------


@pytest.fixture
def told(server: Server) -> None:
    """A report with a narrative, a PDF and results."""
    with server.database.write() as connection:
        from gateway.store.tables import patient

        key = connection.execute(patient.select().where(patient.c.id == "alice")).one().key
        whole = report(
            "d1", "alice", key, result=refer("Observation/a2-0", "Observation/a2-1"),
            text={"status": "additional", "div": DIV}, issued="2025-03-12T10:00:00Z",
            performer=[{"display": "An invented laboratory"}],
            presentedForm=[{"contentType": "application/pdf", "url": "Binary/pdf"}],
        )  # fmt: skip
        save(connection, [NewVersion("DiagnosticReport", "d1", whole.content, key)], NOW)


@pytest.mark.usefixtures("told")
def test_a_document_opens_with_its_composition_and_holds_all_it_names(
    client: FlaskClient, server: Server
) -> None:
    bundle = client.get("/fhir/DiagnosticReport/d1/$document").json
    opening = bundle["entry"][0]["resource"]
    assert (bundle["type"], opening["resourceType"]) == ("document", "Composition")
    assert bundle["identifier"]["value"] == f"urn:uuid:{opening['id']}"
    assert {"Patient/alice", "Observation/a2-0", "Observation/a2-1", "Binary/pdf"} < {
        *names(bundle)
    }
    assert opening["section"][0]["text"]["div"] == DIV
    data = next(e for e in bundle["entry"] if e["resource"]["resourceType"] == "Binary")
    assert data["resource"]["data"].startswith("JVBERi0")
    validator = Validator(load_definitions(shipped_folder()))
    assert [one for one in validator.findings(bundle) if one.severity == "error"] == []
    again = client.get("/fhir/DiagnosticReport/d1/$document").json
    assert again["id"] == bundle["id"]
    xml = client.get("/fhir/DiagnosticReport/d1/$document?_format=xml")
    assert xml.data.startswith(b"<?xml")


@pytest.mark.usefixtures("told")
def test_a_report_of_which_a_part_may_not_be_read_makes_no_document(
    client: FlaskClient, app: Flask, grant: Grant, server: Server
) -> None:
    path = "/fhir/DiagnosticReport/d1/$document"
    headers = grant("system/DiagnosticReport.r system/Patient.r system/Binary.r")
    assert (
        "Observation" in issue(app.test_client().get(path, headers=headers), 403)["details"]["text"]
    )
    with server.database.write() as connection:
        restrict(connection, "a2-1")
    assert issue(client.get(path), 403)
    assert issue(client.get(f"{path}?persist=true"), 400)["location"] == ["persist"]


# -- validate -------------------------------------------------------------------------------


def test_a_resource_is_validated_and_nothing_is_stored(client: FlaskClient) -> None:
    path = "/fhir/Task/$validate"
    assert client.post(path, json=TASK).json["issue"][0]["severity"] == "information"
    wrong = {**TASK, "status": "unheard-of"}
    told = client.post(path, json=wrong).json["issue"]
    assert [(one["severity"], one["expression"]) for one in told] == [("error", ["Task.status"])]
    wrapped = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": wrong}, {"name": "mode", "valueCode": "create"},
        ],
    }  # fmt: skip
    assert client.post(path, json=wrapped).json["issue"] == told
    assert client.get("/fhir/Task?_summary=count").json["total"] == 0


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("?profile=urn:none", TASK, 404),
        ("?mode=guess", TASK, 400),
        ("?mode=delete", TASK, 405),
        ("?mode=update", TASK, 400),
        ("", {"resourceType": "Patient"}, 400),
        ("", {"resourceType": "Parameters"}, 400),
    ],
)
def test_a_validation_that_cannot_be_done_is_refused(
    client: FlaskClient, query: str, body: Json, status: int
) -> None:
    assert issue(client.post(f"/fhir/Task/$validate{query}", json=body), status)


# -- codes ----------------------------------------------------------------------------------


def test_a_local_code_is_translated_by_the_table_of_its_sender(
    client: FlaskClient, server: Server
) -> None:
    url = f"{server.settings.fhir_base}/ConceptMap/hl7v2.sex"
    asked = {"url": url, "code": "F"}
    found = client.get("/fhir/ConceptMap/$translate", query_string=asked).json["parameter"]
    assert found[0] == {"name": "result", "valueBoolean": True}
    assert found[1]["part"][1]["valueCoding"]["code"] == "female"
    coding = {"system": url.replace("ConceptMap", "CodeSystem"), "code": "F"}
    posted = {"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": url}, {"name": "coding", "valueCoding": coding}]}  # fmt: skip
    assert client.post("/fhir/ConceptMap/$translate", json=posted).json["parameter"] == found
    unknown = client.get("/fhir/ConceptMap/$translate", query_string={**asked, "code": "?"}).json
    assert unknown["parameter"][0]["valueBoolean"] is False
    assert issue(client.get("/fhir/ConceptMap/$translate?url=none&code=F"), 404)
    assert issue(client.get("/fhir/ConceptMap/$translate?code=F"), 400)["location"] == ["url"]


def test_a_value_set_is_expanded_filtered_and_paged(client: FlaskClient, server: Server) -> None:
    ours = f"{server.settings.fhir_base}/ValueSet/hl7v2.presence"
    whole = client.get("/fhir/ValueSet/$expand", query_string={"url": ours}).json["expansion"]
    assert {"system": "http://loinc.org", "code": "LA9633-4", "display": "Present"} in whole[
        "contains"
    ]
    part = {"url": ours, "offset": "1", "count": "1"}
    page = client.get("/fhir/ValueSet/$expand", query_string=part).json["expansion"]
    assert (page["total"], page["contains"]) == (whole["total"], whole["contains"][1:2])
    some = client.get("/fhir/ValueSet/$expand", query_string={"url": ours, "filter": "absent"}).json
    assert [one["code"] for one in some["expansion"]["contains"]] == ["LA9634-2"]


def test_a_value_set_of_our_profiles_is_expanded(client: FlaskClient, server: Server) -> None:
    (path,) = shipped_folder().glob("ValueSet-*ethnic*.json")
    import orjson

    url = orjson.loads(path.read_bytes())["url"]
    found = client.get("/fhir/ValueSet/$expand", query_string={"url": url})
    assert found.json["expansion"]["total"] == len(found.json["expansion"]["contains"]) > 5
    assert issue(client.get("/fhir/ValueSet/$expand?url=urn:none"), 404)
    assert issue(client.get(f"/fhir/ValueSet/$expand?url={url}&count=x"), 400)
