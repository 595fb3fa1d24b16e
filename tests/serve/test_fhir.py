from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.serve.server import Server
from tests.serve.conftest import PDF, journal_lines
from tests.store.records import CHI, restrict

Grant = Callable[..., dict[str, str]]


def issue(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.content_type == "application/fhir+json"
    assert response.json["resourceType"] == "OperationOutcome"
    found: dict[str, Any] = response.json["issue"][0]
    return found


# -- read -----------------------------------------------------------------------------------


def test_a_read_answers_the_stored_text_with_its_version(client: FlaskClient) -> None:
    response = client.get("/fhir/DiagnosticReport/a1")
    assert response.status_code == 200
    assert response.content_type == "application/fhir+json"
    assert response.headers["ETag"] == 'W/"2"'
    assert response.headers["Last-Modified"] == "Thu, 09 Oct 2025 08:53:21 GMT"
    assert response.json["status"] == "amended"


@pytest.mark.parametrize("given", ['W/"2"', '"2"', 'W/"1", W/"2"', "*"])
def test_what_the_client_has_already_is_not_sent_again(client: FlaskClient, given: str) -> None:
    response = client.get("/fhir/DiagnosticReport/a1", headers={"If-None-Match": given})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == 'W/"2"'


def test_an_old_version_is_sent_when_the_client_has_another(client: FlaskClient) -> None:
    headers = {"If-None-Match": 'W/"2"'}
    response = client.get("/fhir/DiagnosticReport/a1/_history/1", headers=headers)
    assert (response.status_code, response.json["status"]) == (200, "final")


def test_the_history_shows_every_version(client: FlaskClient) -> None:
    bundle = client.get("/fhir/DiagnosticReport/x1/_history").json
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["DELETE", "PUT"]
    assert "resource" not in bundle["entry"][0]


def test_head_answers_without_a_body(client: FlaskClient) -> None:
    response = client.head("/fhir/DiagnosticReport/a1")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fhir/DiagnosticReport/none", 404, "not-found"),
        ("/fhir/DiagnosticReport/a1/_history/9", 404, "not-found"),
        ("/fhir/DiagnosticReport/none/_history", 404, "not-found"),
        ("/fhir/DiagnosticReport/x1", 410, "deleted"),
        ("/fhir/Spaceship/1", 404, "not-found"),
        ("/fhir/Spaceship", 404, "not-found"),
        ("/fhir/a/b/c/d", 404, "not-found"),
        ("/fhir/", 404, "not-found"),
        ("/fhir/Patient/a%00b", 404, "not-found"),
        ("/fhir/DiagnosticReport?date=never", 400, "invalid"),
        ("/fhir/DiagnosticReport?date=%00", 400, "invalid"),
    ],
)
def test_every_refusal_is_an_operation_outcome(
    client: FlaskClient, path: str, status: int, code: str
) -> None:
    assert issue(client.get(path), status)["code"] == code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/fhir/DiagnosticReport/a1"),
        ("POST", "/fhir/Observation"),
        ("PUT", "/fhir/Provenance?target=DiagnosticReport/a1"),
        ("DELETE", "/fhir/Patient/alice"),
        ("PATCH", "/fhir/Patient/alice"),
        ("POST", "/fhir/Patient/alice/x/y/z"),
    ],
)
def test_what_laboratories_say_is_not_written_over_fhir(
    client: FlaskClient, method: str, path: str
) -> None:
    response = client.open(path, method=method)
    assert issue(response, 405)["code"] == "not-supported"
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/fhir+json",
        "application/json",
        "application/*",
        "application/fhir+json; fhirVersion=4.0",
        "application/fhir+xml;q=0.9, application/json;q=0.1",
        "text/html,*/*;q=0.1",
    ],
)
def test_json_is_served_to_whom_it_is_acceptable(client: FlaskClient, accept: str) -> None:
    response = client.get("/fhir/Patient/alice", headers={"Accept": accept})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("text/turtle", ""),
        ("application/fhir+json;q=0", ""),
        ("*/*", "?_format=ttl"),
        ("application/fhir+json; fhirVersion=3.0", ""),
        ("application/json;q=x", ""),
        ("application/json", "?_format=text/html"),
    ],
)
def test_what_is_not_served_is_not_acceptable(client: FlaskClient, accept: str, query: str) -> None:
    for path in ("/fhir/Patient/alice", "/fhir/Patient", "/fhir/Patient/alice/_history"):
        assert issue(client.get(path + query, headers={"Accept": accept}), 406)


def test_the_format_parameter_outranks_accept(client: FlaskClient) -> None:
    for name in ("json", "application/fhir+json", "application/fhir%2Bjson"):
        response = client.get(
            f"/fhir/Patient/alice?_format={name}", headers={"Accept": "text/html"}
        )
        assert response.status_code == 200


# -- Binary ---------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["", "*/*", "application/pdf", "image/png, application/pdf"])
def test_a_binary_is_its_own_bytes_and_no_page_of_ours(client: FlaskClient, accept: str) -> None:
    with client.get("/fhir/Binary/pdf", headers={"Accept": accept}) as response:
        assert (response.status_code, response.data) == (200, PDF)
    assert response.content_type == "application/pdf"
    assert response.content_length == len(PDF)
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "sandbox"


def test_a_binary_is_a_resource_when_fhir_is_asked_for(client: FlaskClient) -> None:
    response = client.get("/fhir/Binary/pdf", headers={"Accept": "application/fhir+json"})
    assert base64.b64decode(response.json["data"]) == PDF
    assert response.json["contentType"] == "application/pdf"


def test_a_binary_of_another_type_is_not_acceptable(client: FlaskClient) -> None:
    assert issue(client.get("/fhir/Binary/pdf", headers={"Accept": "image/png"}), 406)


# -- search ---------------------------------------------------------------------------------


def test_reports_are_found_by_chi_with_their_results(client: FlaskClient, server: Server) -> None:
    bundle = client.get(
        "/fhir/DiagnosticReport",
        query_string={
            "patient.identifier": f"{CHI}|0102625707",
            "_include": "DiagnosticReport:result",
        },
    ).json
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    modes = [(entry["search"]["mode"], entry["fullUrl"]) for entry in bundle["entry"]]
    base = server.settings.fhir_base
    assert modes == [
        ("match", f"{base}/DiagnosticReport/b1"),
        ("include", f"{base}/Observation/b1-0"),
        ("include", f"{base}/Observation/b1-1"),
    ]


def test_pages_are_followed_by_their_links(client: FlaskClient, server: Server) -> None:
    url, seen = "/fhir/DiagnosticReport?patient=alice&_sort=date", []
    while url:
        bundle = client.get(url).json
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{server.settings.fhir_base}/DiagnosticReport?patient=")
        url = links.get("next", "").removeprefix(server.settings.base_url)
    assert sorted(seen) == ["a1", "a2", "a3"]


def test_a_search_may_be_posted(client: FlaskClient) -> None:
    bundle = client.post("/fhir/DiagnosticReport/_search?_count=1", data={"patient": "alice"}).json
    assert len(bundle["entry"]) == 1
    response = client.post("/fhir/DiagnosticReport/_search", json={"patient": "alice"})
    assert issue(response, 415)
    response = client.post("/fhir/DiagnosticReport/_search", data={"patient": "x" * 200_000})
    assert issue(response, 413)


def test_an_empty_result_has_no_entries(client: FlaskClient) -> None:
    bundle = client.get("/fhir/DiagnosticReport?patient=nobody").json
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_an_unknown_parameter_is_reported_or_refused(client: FlaskClient) -> None:
    url = "/fhir/DiagnosticReport?colour=red&patient=bob"
    bundle = client.get(url).json
    [told] = [e for e in bundle["entry"] if e["search"]["mode"] == "outcome"]
    assert told["resource"]["issue"][0]["severity"] == "warning"
    assert "colour" not in bundle["link"][0]["url"]
    assert issue(client.get(url, headers={"Prefer": "handling=strict"}), 400)
    assert client.get(url, headers={"Prefer": "handling=lenient"}).status_code == 200


# -- who ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/Patient/alice",
        "/fhir/Patient",
        "/fhir/Binary/pdf",
        "/fhir/Patient/alice/_history/1",
        "/fhir/Patient/alice/_history",
    ],
)
def test_nobody_reads_without_a_token(app: Flask, grant: Grant, path: str) -> None:
    response = app.test_client().get(path)
    assert issue(response, 401)["code"] == "login"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="fhir"'
    for header in ({"Authorization": "Bearer unknown"}, grant(seconds=-1)):
        response = app.test_client().get(path, headers=header)
        assert issue(response, 401)
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_scope_without_the_type_is_forbidden(app: Flask, grant: Grant) -> None:
    header = grant("system/Observation.rs")
    for path in ("/fhir/Patient/alice", "/fhir/Patient", "/fhir/Patient/alice/_history/1"):
        response = app.test_client().get(path, headers=header)
        assert issue(response, 403)["code"] == "forbidden"
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_a_restricted_report_is_not_found(client: FlaskClient, server: Server) -> None:
    with server.database.write() as connection:
        restrict(connection, "a1")
    assert issue(client.get("/fhir/DiagnosticReport/a1"), 404)
    assert client.get("/fhir/DiagnosticReport?patient=alice&_total=accurate").json["total"] == 2


# -- audit ----------------------------------------------------------------------------------


def test_every_answer_to_a_known_client_is_in_the_journal(
    client: FlaskClient, app: Flask, server: Server, grant: Grant
) -> None:
    client.get("/fhir/DiagnosticReport/a1")
    client.get("/fhir/DiagnosticReport?patient=bob&_include=DiagnosticReport:result")
    client.get("/fhir/DiagnosticReport/none")
    app.test_client().get("/fhir/Patient/alice", headers=grant("system/Task.r"))
    app.test_client().get("/fhir/Patient/alice")
    told = [
        (line["interaction"], line["target"], line["status"], line.get("returned"))
        for line in journal_lines(server)
        if line["interaction"] != "refusal"  # of nobody known: tests/serve/test_audit.py
    ]
    assert told == [
        ("read", "DiagnosticReport/a1", 200, ["DiagnosticReport/a1/_history/2"]),
        (
            "search-type",
            "DiagnosticReport",
            200,
            ["DiagnosticReport/b1", "Observation/b1-0", "Observation/b1-1"],
        ),
        ("read", "DiagnosticReport/none", 404, None),
        ("read", "Patient/alice", 403, None),
    ]
    assert orjson.loads(journal_lines(server)[1]["query"])[0] == ["patient", "bob"]


def test_nothing_is_handed_over_when_the_journal_cannot_be_written(
    client: FlaskClient, server: Server
) -> None:
    folder = server.settings.data / "audit"
    folder.write_text("in the way")
    response = client.get("/fhir/DiagnosticReport/a1")
    assert issue(response, 503)["code"] == "transient"
    assert response.headers["Retry-After"]
    folder.unlink()
    assert client.get("/fhir/DiagnosticReport/a1").status_code == 200


def test_a_missing_file_is_told_and_not_a_crash(client: FlaskClient, server: Server) -> None:
    shutil.rmtree(server.settings.data / "files")
    assert issue(client.get("/fhir/Binary/pdf"), 404)


# -- capabilities ---------------------------------------------------------------------------


def test_the_capabilities_are_open(app: Flask) -> None:
    statement = app.test_client().get("/fhir/metadata").json
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["format"] == [
        "json", "xml", "application/fhir+json", "application/fhir+xml",
    ]  # fmt: skip


# -- browsers -------------------------------------------------------------------------------


def test_a_preflight_needs_no_token(app: Flask) -> None:
    response = app.test_client().options(
        "/fhir/Patient/alice",
        headers={"Origin": "https://app.example", "Access-Control-Request-Method": "GET"},
    )
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


def test_browsers_may_see_the_version_headers(client: FlaskClient) -> None:
    response = client.get("/fhir/Patient/alice", headers={"Origin": "https://app.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in response.headers["Access-Control-Expose-Headers"]


def test_a_defect_tells_nothing_of_what_was_read(
    client: FlaskClient, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with server.database.write() as connection:
        connection.exec_driver_sql("UPDATE resource SET body = 'secret{' WHERE id = 'pdf'")
    response = client.get("/fhir/Binary/pdf")
    assert issue(response, 500)
    assert "secret" not in response.text + caplog.text
    assert "JSONDecodeError" in caplog.text
