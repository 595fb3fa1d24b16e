"""AuditEvents over FHIR: who may read them, and how they are found."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.access.scopes import narrow
from gateway.serve.server import Server
from gateway.store.audit.refusals import Refusals
from gateway.store.audit.sealer import Sealer
from tests.serve.conftest import journal_lines

Grant = Callable[..., dict[str, str]]


@pytest.fixture
def auditor(app: Flask, grant: Grant) -> FlaskClient:
    made = app.test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = grant("system/AuditEvent.rs")["Authorization"]
    return made


@pytest.fixture
def told(client: FlaskClient, server: Server) -> None:
    """Three reads that are sealed: alice's report, a search for bob's, a refusal."""
    client.get("/fhir/DiagnosticReport/a1")
    client.get("/fhir/DiagnosticReport?patient=bob&_include=DiagnosticReport:result")
    client.get("/fhir/DiagnosticReport/none")
    seal(server)


def seal(server: Server) -> None:
    Sealer(server.database, server.settings.data / "audit", server.clock).seal()


def found(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json.get("entry", [])]


def test_only_a_scope_that_names_it_reads_the_audit(
    told: None, client: FlaskClient, auditor: FlaskClient
) -> None:
    [newest, *_] = found(auditor.get("/fhir/AuditEvent"))
    for path in ("/fhir/AuditEvent", f"/fhir/AuditEvent/{newest['id']}"):
        assert client.get(path).status_code == 403
        assert auditor.get(path).status_code == 200
    assert auditor.get("/fhir/AuditEvent/none.12").status_code == 404
    assert auditor.get("/fhir/AuditEvent/none").status_code == 404
    assert auditor.get("/fhir/Patient/alice").status_code == 403


def test_a_client_gets_the_audit_only_when_its_allowance_names_it() -> None:
    assert narrow("system/AuditEvent.rs", "system/*.rs") == ""
    assert narrow("system/*.rs", "system/*.rs system/AuditEvent.rs") == "system/*.rs"
    allowed = narrow("system/AuditEvent.rs", "system/*.rs system/AuditEvent.rs")
    assert allowed == "system/AuditEvent.rs"


def test_events_are_found_by_what_they_say(told: None, auditor: FlaskClient) -> None:
    def statuses(query: str) -> list[str]:
        return [one.get("outcomeDesc", "done")
                for one in found(auditor.get(f"/fhir/AuditEvent?_count=9&{query}"))]  # fmt: skip

    assert statuses("") == ["HTTP 404", "done", "done"]
    assert statuses("patient=alice") == statuses("patient=Patient/alice") == ["done"]
    assert statuses("entity=DiagnosticReport/a1") == ["done"]
    assert statuses("entity=DiagnosticReport/none") == []
    assert statuses("patient=bob&action=E") == ["done"]
    assert statuses("patient=bob&action=R") == []
    assert statuses("outcome=4") == ["HTTP 404"]
    assert statuses("outcome=0,8&type=rest&subtype=read") == ["done"]
    assert statuses("date=lt2020") == []
    assert len(statuses("date=ge2020&date=lt2999")) == 3
    assert statuses("agent=nobody") == []
    chi = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53|0102625707"
    form = auditor.post("/fhir/AuditEvent/_search", data={"patient.identifier": chi})
    assert len(found(form)) == 1


def test_a_found_event_says_who_what_and_whose(told: None, auditor: FlaskClient) -> None:
    [event] = found(auditor.get("/fhir/AuditEvent?patient=alice"))
    assert event["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientRead")
    references = [one["what"]["reference"] for one in event["entity"]]
    assert references == ["Patient/alice", "DiagnosticReport/a1/_history/2"]
    assert auditor.get(f"/fhir/AuditEvent/{event['id']}").json == event
    client = event["agent"][0]["who"]["identifier"]["value"]
    assert len(found(auditor.get(f"/fhir/AuditEvent?agent={client}"))) == 2


def test_pages_follow_one_another_without_gap(told: None, auditor: FlaskClient) -> None:
    first = auditor.get("/fhir/AuditEvent?_count=2").json
    links = {one["relation"]: one["url"] for one in first["link"]}
    second = auditor.get(links["next"]).json
    ids = [entry["resource"]["id"] for page in (first, second) for entry in page["entry"]]
    assert len(ids) == len(set(ids)) == 3
    assert [one["relation"] for one in second["link"]] == ["self"]
    assert auditor.get("/fhir/AuditEvent?_cursor=AAAA").status_code == 400


@pytest.mark.parametrize(
    "query",
    ["date=ne2020", "date=x", "_sort=date", "_count=0", "patient=a&patient=b",
     "patient.identifier=0101625707"],
)  # fmt: skip
def test_a_search_that_cannot_be_meant_is_refused(auditor: FlaskClient, query: str) -> None:
    assert auditor.get(f"/fhir/AuditEvent?{query}").status_code == 400


def test_an_unknown_parameter_is_told_or_refused(auditor: FlaskClient) -> None:
    lenient = auditor.get("/fhir/AuditEvent?colour=red").json
    assert lenient["entry"][0]["search"]["mode"] == "outcome"
    strict = auditor.get("/fhir/AuditEvent?colour=red", headers={"Prefer": "handling=strict"})
    assert strict.status_code == 400


def test_reading_the_audit_is_audited(told: None, auditor: FlaskClient, server: Server) -> None:
    [event] = found(auditor.get("/fhir/AuditEvent?patient=alice"))
    last = journal_lines(server)[-1]
    assert (last["interaction"], last["target"]) == ("search-type", "AuditEvent")
    assert last["returned"] == [f"AuditEvent/{event['id']}"]
    seal(server)
    newest = found(auditor.get("/fhir/AuditEvent"))[0]
    query = next(one for one in newest["entity"] if "query" in one)
    assert b"alice" in base64.b64decode(query["query"])


def test_an_attacker_without_a_token_cannot_fill_the_disk(app: Flask, server: Server) -> None:
    nobody = app.test_client()
    for _ in range(100):
        assert nobody.get("/fhir/Patient/" + "x" * 900).status_code == 401
    lines = journal_lines(server)
    assert 60 <= len(lines) < 90
    assert max(len(one["target"]) for one in lines) == 200
    assert {(one["client"], one["interaction"], one["address"]) for one in lines} == {
        ("", "refusal", "127.0.0.1")
    }


def test_refusals_that_were_left_out_are_counted(server: Server) -> None:
    refusals = Refusals(server.journal)
    recorded = [refusals.record(1_000_000, "10.0.0.1", "/fhir") for _ in range(63)]
    assert recorded.count(True) == 60
    assert refusals.record(2_000_000, "10.0.0.1", "/fhir")
    assert journal_lines(server)[-1]["detail"] == "3 more were not recorded"


def test_without_a_journal_nobody_is_refused_unrecorded(app: Flask, server: Server) -> None:
    folder = server.settings.data / "audit"
    folder.write_text("in the way")
    assert app.test_client().get("/fhir/Patient/alice").status_code == 503
    folder.unlink()
    assert app.test_client().get("/fhir/Patient/alice").status_code == 401
