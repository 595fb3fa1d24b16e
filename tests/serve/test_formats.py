"""JSON and XML, parts of resources, and what every answer has."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from flask import Flask
from flask.testing import FlaskClient

from gateway.fhir.reading import read_resource
from gateway.serve.server import Server
from tests.serve.conftest import PDF

SUBSETTED = "SUBSETTED"


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/fhir/DiagnosticReport/a1", "DiagnosticReport"),
        ("/fhir/DiagnosticReport/a1/_history", "Bundle"),
        ("/fhir/DiagnosticReport?patient=alice&_include=DiagnosticReport:result&nick=x", "Bundle"),
        ("/fhir/Patient/alice/$everything", "Bundle"),
        ("/fhir/Patient/nobody", "OperationOutcome"),
        ("/fhir/metadata", "CapabilityStatement"),
    ],
)
def test_xml_says_the_same_as_json_to_a_reader_that_is_not_ours(
    client: FlaskClient, path: str, type_: str
) -> None:
    model: Any = get_fhir_model_class(type_)
    written = client.get(path, headers={"Accept": "application/fhir+xml"})
    assert written.content_type == "application/fhir+xml"
    theirs = json.loads(model.model_validate_xml(written.data).model_dump_json())
    ours = client.get(path).json
    assert theirs == json.loads(model.model_validate(ours).model_dump_json())
    assert read_resource(written.data, xml=True) == ours


@pytest.mark.parametrize(
    ("query", "present", "absent"),
    [
        ("_summary=true", {"identifier", "status", "code", "subject"}, {"text", "result"}),
        ("_summary=text", {"status", "code"}, {"identifier", "subject"}),
        ("_elements=identifier", {"identifier", "status", "code"}, {"subject"}),
        ("_elements=DiagnosticReport.subject", {"subject"}, {"identifier"}),
    ],
)
def test_a_part_of_a_resource_is_shown_and_tagged(
    client: FlaskClient, query: str, present: set[str], absent: set[str]
) -> None:
    one = client.get(f"/fhir/DiagnosticReport/a2?{query}").json
    many = client.get(f"/fhir/DiagnosticReport?_id=a2&{query}").json["entry"][0]["resource"]
    assert one == many
    assert present <= one.keys()
    assert not absent & one.keys()
    assert one["meta"]["tag"][0]["code"] == SUBSETTED


def test_what_is_whole_is_not_tagged_and_is_the_stored_text(client: FlaskClient) -> None:
    plain = client.get("/fhir/DiagnosticReport/a1")
    assert client.get("/fhir/DiagnosticReport/a1?_summary=false").data == plain.data
    assert client.get("/fhir/DiagnosticReport/a1?_summary=data").json == plain.json
    pretty = client.get("/fhir/DiagnosticReport/a1?_pretty=true")
    assert b'\n  "id"' in pretty.data
    assert pretty.json == plain.json


def test_plain_json_is_never_parsed(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(_: str) -> None:
        raise AssertionError

    monkeypatch.setattr("gateway.serve.fhir.representation.read_text", parsed)
    for path in ("DiagnosticReport/a1", "DiagnosticReport?_include=DiagnosticReport:result",
                 "Patient/alice/$everything", "DiagnosticReport/a1/_history", "_history",
                 "Patient/alice/Observation?_format=json&_summary=false"):  # fmt: skip
        assert client.get(f"/fhir/{path}").status_code == 200
    assert client.get("/fhir/DiagnosticReport/a1?_pretty=true").status_code == 500


def test_pages_keep_what_was_asked_of_them(client: FlaskClient) -> None:
    page = client.get("/fhir/Observation?_elements=status&_count=1&_pretty=true").json
    following = next(one["url"] for one in page["link"] if one["relation"] == "next")
    more = client.get(following).json
    assert "code" in more["entry"][0]["resource"]  # required, so always there
    assert "subject" not in more["entry"][0]["resource"]


@pytest.mark.parametrize(
    "query",
    ["_summary=some", "_pretty=perhaps", "_summary=count", "_summary=text&_elements=id"],
)
def test_a_part_that_nobody_knows_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/fhir/DiagnosticReport/a1?{query}")
    assert (answer.status_code, answer.json["resourceType"]) == (400, "OperationOutcome")


def test_a_refusal_is_in_the_format_that_was_asked_for(app: Flask) -> None:
    answer = app.test_client().get("/fhir/Patient/alice?_format=xml")
    assert (answer.status_code, answer.content_type) == (401, "application/fhir+xml")
    assert b"<OperationOutcome" in answer.data


# -- histories ------------------------------------------------------------------------------


def test_histories_of_a_type_and_of_all_are_paged_newest_first(
    client: FlaskClient, server: Server
) -> None:
    url, seen = "/fhir/DiagnosticReport/_history?_count=2", []
    while url:
        bundle = client.get(url).json
        assert bundle["type"] == "history"
        seen += [(one["request"]["url"], one["response"]["etag"]) for one in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        url = links.get("next", "").removeprefix(server.settings.base_url)
    assert seen[0] == ("DiagnosticReport/a1", 'W/"2"')
    assert len(seen) == len(set(seen)) == 7
    whole = client.get("/fhir/_history?_count=500").json
    assert whole["total"] == len(whole["entry"]) > 7
    late = client.get("/fhir/_history?_since=2025-10-09T08:53:21Z").json
    assert [one["request"]["url"] for one in late["entry"]] == ["DiagnosticReport/a1"]


# -- every answer ---------------------------------------------------------------------------


def test_larger_answers_are_compressed_for_who_can_read_them(client: FlaskClient) -> None:
    path, asked = "/fhir/Patient/alice/$everything", {"Accept-Encoding": "gzip, br"}
    plain, packed = client.get(path), client.get(path, headers=asked)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in packed.headers["Vary"]
    small = client.get("/fhir/Patient/alice", headers=asked)
    assert "Content-Encoding" not in small.headers
    refused = client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_a_browser_may_write_and_read_what_it_needs(app: Flask) -> None:
    answer = app.test_client().options("/fhir/Task/x")
    assert answer.status_code == 200
    assert {"PUT", "POST"} <= {*answer.headers["Access-Control-Allow-Methods"].split(", ")}
    allowed = {*answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"Authorization", "If-Match", "If-None-Exist", "Prefer", "Content-Type"} <= allowed
    shown = {*answer.headers["Access-Control-Expose-Headers"].split(", ")}
    assert {"ETag", "Location", "Content-Location", "X-Progress", "Retry-After"} <= shown


@pytest.mark.parametrize(
    ("given", "status", "data"),
    [("bytes=0-3", 206, b"%PDF"), ("bytes=5-7", 206, b"1.7"), ("bytes=999-", 200, PDF)],
)
def test_a_part_of_a_document_is_sent(
    client: FlaskClient, given: str, status: int, data: bytes
) -> None:
    with client.get("/fhir/Binary/pdf", headers={"Range": given}) as answer:
        assert answer.status_code == status
        assert answer.data == data


def test_a_binary_is_a_resource_in_xml_too(client: FlaskClient) -> None:
    answer = client.get("/fhir/Binary/pdf", headers={"Accept": "application/fhir+xml"})
    assert answer.content_type == "application/fhir+xml"
    assert b"<data value=" in answer.data
