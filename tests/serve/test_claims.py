"""Every claim of the CapabilityStatement is exercised; what is not claimed is not served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.fhir.conformance import check
from gateway.serve.fhir.registry import IN_COMPARTMENT
from gateway.serve.fhir.views import fhir_routes
from gateway.serve.server import Server
from tests.serve.conftest import journal_lines
from tests.serve.test_writes import ORDER, PERSON, TASK, bundle, entry
from tests.store.records import CHI

Json = dict[str, Any]
DEFINITIONS = ("http://hl7.org/fhir/OperationDefinition/",
               "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/")  # fmt: skip
STRICT = {"Prefer": "handling=strict"}
DOCUMENT: Json = {
    "resourceType": "DocumentReference", "status": "current",
    "subject": {"reference": "Patient/alice"}, "content": [{"attachment": {"title": "t"}}],
}  # fmt: skip
MADE = {"Task": TASK, "ServiceRequest": ORDER, "DocumentReference": DOCUMENT, "Patient": PERSON}
VALUES = {
    "token": "urn:example:x|1", "date": "ge2025", "reference": "x", "string": "x",
    "quantity": "5", "uri": "urn:example:x", "composite": "a$b",
}  # fmt: skip


@pytest.fixture
def client(app: Flask, grant: Callable[..., dict[str, str]]) -> FlaskClient:
    made = app.test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = grant("system/*.cruds")["Authorization"]
    return made


@pytest.fixture
def rest(app: Flask) -> Json:
    statement = app.test_client().get("/fhir/metadata").json
    check(statement)
    found: Json = statement["rest"][0]
    return found


def resources(rest: Json, *, stored: bool = True) -> Iterator[tuple[str, Json]]:
    for one in rest["resource"]:
        if not stored or "versioning" in one:
            yield one["type"], one


def interactions(one: Json) -> set[str]:
    return {item["code"] for item in one.get("interaction", ())}


def test_every_interaction_of_a_type_is_served(client: FlaskClient, rest: Json) -> None:
    known = {"Patient": "alice", "DiagnosticReport": "a1", "Observation": "a1-0", "Binary": "pdf"}
    for type_, one in resources(rest):
        id_ = known.get(type_, "none")
        found = 200 if type_ in known else 404
        answers = {
            "read": (f"/fhir/{type_}/{id_}", found),
            "vread": (f"/fhir/{type_}/{id_}/_history/1", found),
            "history-instance": (f"/fhir/{type_}/{id_}/_history", found),
            "history-type": (f"/fhir/{type_}/_history", 200),
            "search-type": (f"/fhir/{type_}", 200),
        }
        for code in interactions(one) - {"create", "update"}:
            path, status = answers[code]
            with client.get(path) as answer:
                assert answer.status_code == status, path
        assert {"read", "vread", "history-instance", "history-type"} <= interactions(one)


def test_every_write_that_is_claimed_is_served_and_no_other(
    client: FlaskClient, rest: Json
) -> None:
    for type_, one in resources(rest):
        content = MADE.get(type_, {"resourceType": type_})
        made = client.post(f"/fhir/{type_}", json=content)
        changed = client.put(f"/fhir/{type_}/none", json={**content, "id": "none"})
        assert one.get("updateCreate", False) is False
        if "create" not in interactions(one):
            assert (made.status_code, changed.status_code) == (405, 405)
            assert "update" not in interactions(one)
        elif type_ == "Patient":  # a client that does not keep the index
            assert made.status_code == 403
        else:
            assert made.status_code == 201, made.text
            again = {**made.json, "language": "en"}
            path = f"/fhir/{type_}/{made.json['id']}"
            assert client.put(path, json=again).headers["ETag"] == 'W/"2"'
            condition = {"If-None-Exist": f"_id={made.json['id']}"}
            assert one["conditionalCreate"]
            assert client.post(f"/fhir/{type_}", json=content, headers=condition).status_code == 200
            assert one["conditionalUpdate"]
            found = client.put(f"/fhir/{type_}?_id={made.json['id']}", json=again)
            assert found.status_code == 200


def test_every_search_parameter_and_include_is_understood(client: FlaskClient, rest: Json) -> None:
    for type_, one in resources(rest):
        claims = [
            (p["name"], "a$5" if p["name"].endswith("code-value-quantity") else VALUES[p["type"]])
            for p in one.get("searchParam", ())
        ]
        claims += [("_include", value) for value in one.get("searchInclude", ())]
        claims += [("_revinclude", value) for value in one.get("searchRevInclude", ())]
        for name, value in claims:
            answer = client.get(f"/fhir/{type_}", query_string={name: value}, headers=STRICT)
            assert answer.status_code == 200, (type_, name, answer.text)


def test_the_audit_is_searched_by_every_parameter_that_is_claimed(
    app: Flask, grant: Callable[..., dict[str, str]], rest: Json
) -> None:
    header = grant("system/AuditEvent.rs") | STRICT
    (audit,) = [one for type_, one in resources(rest, stored=False) if type_ == "AuditEvent"]
    assert interactions(audit) == {"read", "search-type"}
    assert "versioning" not in audit
    for parameter in audit["searchParam"]:
        query = {parameter["name"]: VALUES[parameter["type"]]}
        answer = app.test_client().get("/fhir/AuditEvent", query_string=query, headers=header)
        assert answer.status_code == 200, (parameter["name"], answer.text)


def test_a_conditional_read_is_full(client: FlaskClient, rest: Json) -> None:
    assert {one["conditionalRead"] for _, one in resources(rest)} == {"full-support"}
    newest = client.get("/fhir/DiagnosticReport/a1")
    for name, header in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
        same = client.get("/fhir/DiagnosticReport/a1", headers={name: newest.headers[header]})
        assert (same.status_code, same.data) == (304, b"")
    older = {"If-Modified-Since": "Wed, 01 Jan 2025 00:00:00 GMT"}
    assert client.get("/fhir/DiagnosticReport/a1", headers=older).status_code == 200
    nonsense = {"If-Modified-Since": "yesterday"}
    assert client.get("/fhir/DiagnosticReport/a1", headers=nonsense).status_code == 200


def test_every_system_interaction_is_served(client: FlaskClient, rest: Json) -> None:
    served = {
        "transaction": lambda: client.post("/fhir", json=bundle("transaction")),
        "batch": lambda: client.post("/fhir", json=bundle("batch", entry("GET", "Patient/alice"))),
        "history-system": lambda: client.get("/fhir/_history"),
    }
    claimed = {one["code"] for one in rest["interaction"]}
    assert claimed == served.keys()
    for code in claimed:
        assert served[code]().status_code == 200


def test_every_operation_is_served(client: FlaskClient, rest: Json) -> None:
    task = {**TASK, "id": "x"}
    asked: dict[str, Callable[[str], Any]] = {
        "everything": lambda _: client.get("/fhir/Patient/alice/$everything"),
        "document": lambda _: client.get("/fhir/DiagnosticReport/a1/$document"),
        "validate": lambda type_: client.post(
            f"/fhir/{type_}/$validate", json={**task, "resourceType": type_}
        ),
        "translate": lambda _: client.get("/fhir/ConceptMap/$translate?url=hl7v2.sex&code=F"),
        "expand": lambda _: client.get("/fhir/ValueSet/$expand?url=hl7v2.sex"),
        "match": lambda _: client.post("/fhir/Patient/$match", json={**PERSON}),
        "ihe-pix": lambda _: client.get(
            f"/fhir/Patient/$ihe-pix?sourceIdentifier={CHI}|0101625707"
        ),
    }
    seen = set()
    for type_, one in resources(rest, stored=False):
        for operation in one.get("operation", ()):
            seen.add(operation["name"])
            assert operation["definition"].startswith(DEFINITIONS)
            answer = asked[operation["name"]](type_)
            assert answer.status_code == 200, (operation, answer.text)
    assert seen == asked.keys()


def test_every_format_is_written(client: FlaskClient, app: Flask) -> None:
    for name in app.test_client().get("/fhir/metadata").json["format"]:
        answer = client.get("/fhir/Patient/alice", query_string={"_format": name})
        assert answer.content_type.endswith(name.rpartition("/")[2].rpartition("+")[2])


def test_the_compartment_of_a_patient_is_searched(client: FlaskClient, rest: Json) -> None:
    assert rest["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    mine = client.get("/fhir/Patient/alice/DiagnosticReport?status=final&_count=1").json
    (link,) = [one["url"] for one in mine["link"] if one["relation"] == "next"]
    assert "/fhir/Patient/alice/DiagnosticReport?" in link
    more = client.get(link).json
    found = [one["resource"]["id"] for page in (mine, more) for one in page["entry"]]
    assert sorted(found) == ["a2", "a3"]
    assert client.get("/fhir/Patient/nobody/DiagnosticReport").status_code == 404
    assert client.get("/fhir/Patient/alice/Organization").status_code == 404
    posted = client.post("/fhir/Patient/bob/Observation/_search", data={"_summary": "count"})
    assert posted.json["total"] == 4


def test_the_statement_says_where_everything_is_described(rest: Json, app: Flask) -> None:
    assert rest["documentation"].endswith("/docs/api")
    assert rest["security"]["cors"] is True
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


@pytest.mark.parametrize(
    ("mode", "status", "types"),
    [("full", 200, None), ("normative", 200, {"Binary", "Observation", "Patient"}),
     ("terminology", 400, None)],
)  # fmt: skip
def test_the_statement_has_modes(
    app: Flask, mode: str, status: int, types: set[str] | None
) -> None:
    answer = app.test_client().get(f"/fhir/metadata?mode={mode}")
    assert answer.status_code == status
    if types:
        assert {one["type"] for one in answer.json["rest"][0]["resource"]} == types


def test_each_route_is_claimed_somewhere(rest: Json) -> None:
    every = list(resources(rest, stored=False))
    claimed = {(type_, code) for type_, one in every for code in interactions(one)}
    claimed |= {("", one["code"]) for one in rest["interaction"]}
    claimed |= {
        (type_, f"${operation['name']}")
        for type_, one in every
        for operation in one.get("operation", ())
    }
    routed = {
        (type_, route.code)
        for route in fhir_routes()
        if route.code != IN_COMPARTMENT
        for type_ in (route.types or {""})
    }
    assert claimed == routed


@pytest.mark.parametrize(
    ("path", "interaction", "target"),
    [
        ("Patient/alice", "read", "Patient/alice"),
        ("DiagnosticReport/a1/_history/1", "vread", "DiagnosticReport/a1/_history/1"),
        ("Patient/alice/_history", "history-instance", "Patient/alice"),
        ("Task/_history", "history-type", "Task"),
        ("_history", "history-system", ""),
        ("Patient/alice/Task?status=x", "search-type", "Patient/alice/Task"),
        ("Patient/alice/$everything", "operation:everything", "Patient/alice"),
        ("DiagnosticReport/a1/$document", "operation:document", "DiagnosticReport/a1"),
        ("ValueSet/$expand?url=none", "operation:expand", "ValueSet"),
        ("Spaceship/1", "read", "Spaceship/1"),
    ],
)
def test_the_journal_says_what_was_asked_about(
    client: FlaskClient, server: Server, path: str, interaction: str, target: str
) -> None:
    client.get(f"/fhir/{path}")
    (line,) = journal_lines(server)
    assert (line["interaction"], line["target"]) == (interaction, target)
