"""Clients that others wrote: search, include, paging, metadata, transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fhirclient import client as smart
from fhirclient.models.bundle import Bundle
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.diagnosticreport import DiagnosticReport
from fhirclient.models.task import Task
from fhirpy import SyncFHIRClient

from tests.serve.test_writes import ORDER, TASK, bundle, entry

Grant = Callable[..., dict[str, str]]


@pytest.fixture
def token(grant: Grant) -> str:
    return grant("system/*.cruds")["Authorization"]


def test_fhirpy_pages_writes_and_runs_operations(live: str, token: str) -> None:
    peer = SyncFHIRClient(f"{live}/fhir", authorization=token)
    every = peer.resources("Observation").search(patient="alice").limit(2).fetch_all()
    assert len(every) == len({one.id for one in every}) == 6
    search = peer.resources("DiagnosticReport").search(_id="a2")
    entries = search.include("DiagnosticReport", "result").fetch_raw().entry
    assert [one.search["mode"] for one in entries] == ["match", "include", "include"]
    task = peer.resource("Task", **TASK)
    task.save()
    task["status"] = "completed"
    task.save()
    again = peer.reference("Task", task.id).to_resource()
    assert (again["meta"]["versionId"], again["status"]) == ("2", "completed")
    whole = peer.reference("Patient", "alice").execute("$everything", "get")
    assert whole["type"] == "searchset"
    sent = bundle("transaction", entry("POST", "ServiceRequest", ORDER))
    answer: Any = peer.execute("", "post", data=sent)
    assert answer["entry"][0]["response"]["status"] == "201 Created"


def test_the_smart_client_of_python_searches_pages_and_updates(live: str, token: str) -> None:
    peer = smart.FHIRClient(settings={"app_id": "tests", "api_base": f"{live}/fhir"})
    server = peer.server
    server.session.headers["Authorization"] = token
    statement = CapabilityStatement.read_from("metadata", server)
    assert statement.fhirVersion == "4.0.1"
    search = DiagnosticReport.where({"patient": "alice", "_include": "DiagnosticReport:result"})
    reports = list(search.perform_resources_iter(server))
    assert sum(isinstance(one, DiagnosticReport) for one in reports) == 3
    task = Task(TASK)
    task.id = task.create(server)["id"]
    task.status = "completed"
    assert task.update(server)["meta"]["versionId"] == "2"
    batch = Bundle(bundle("batch", entry("GET", "Patient/alice")))
    answer = server.post_json("", batch.as_json())
    assert answer.json()["entry"][0]["resource"]["id"] == "alice"
