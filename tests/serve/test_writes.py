"""What clients write: created, updated, in batches and transactions, by the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from gateway.config import Settings
from gateway.serve.fhir.views import fhir_blueprint
from gateway.serve.server import Server
from gateway.store.tables import patient, patient_identifier, resource
from tests.serve.conftest import journal_lines
from tests.store.records import CHI

Grant = Callable[..., dict[str, str]]
Json = dict[str, Any]
TASK: Json = {
    "resourceType": "Task", "status": "requested", "intent": "order",
    "for": {"reference": "Patient/alice"}, "focus": {"reference": "DiagnosticReport/a1"},
    "code": {"text": "Read this report"},
}  # fmt: skip
ORDER: Json = {
    "resourceType": "ServiceRequest", "status": "active", "intent": "order",
    "identifier": [{"system": "urn:example:order", "value": "o1"}],
    "code": {"text": "Whole genome"}, "subject": {"reference": "Patient/alice"},
}  # fmt: skip
PERSON: Json = {
    "resourceType": "Patient", "identifier": [{"system": CHI, "value": "1506241115"}],
    "name": [{"family": "Sample", "given": ["Callum"]}], "birthDate": "1924-06-15",
    "gender": "male",
}  # fmt: skip


@pytest.fixture
def writer(app: Flask, grant: Grant) -> FlaskClient:
    """A client that may do everything that scopes can allow."""
    made = app.test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = grant("system/*.cruds")["Authorization"]
    return made


@pytest.fixture
def keeper(server: Server, grant: Grant) -> FlaskClient:
    """A client that keeps the patient index."""
    header = grant("system/*.cruds")["Authorization"]
    settings: Settings = replace(server.settings, patient_clients=(header.partition(" ")[2],))
    made = Flask("keeper")
    made.register_blueprint(fhir_blueprint(replace(server, settings=settings)))
    client = made.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = header
    return client


def issue(response: Any, status: int) -> Json:
    assert response.status_code == status, response.text
    assert response.json["resourceType"] == "OperationOutcome"
    found: Json = response.json["issue"][0]
    return found


# -- create ---------------------------------------------------------------------------------


def test_what_is_created_has_an_id_a_version_and_a_provenance(
    writer: FlaskClient, server: Server
) -> None:
    made = writer.post("/fhir/Task", json=TASK)
    id_ = made.json["id"]
    assert made.status_code == 201
    assert made.headers["ETag"] == 'W/"1"'
    assert made.headers["Location"] == f"{server.settings.fhir_base}/Task/{id_}/_history/1"
    assert writer.get(f"/fhir/Task/{id_}").json == made.json
    found = writer.get(f"/fhir/Provenance?target=Task/{id_}").json
    (entry,) = found["entry"]
    client = writer.environ_base["HTTP_AUTHORIZATION"].partition(" ")[2]
    assert entry["resource"]["agent"][0]["who"]["identifier"]["value"] == client
    assert journal_lines(server)[0]["interaction"] == "create"
    assert journal_lines(server)[0]["returned"] == [f"Task/{id_}/_history/1"]


@pytest.mark.parametrize(
    ("prefer", "type_"),
    [("return=minimal", None), ("return=representation", "Task"),
     ("return=OperationOutcome", "OperationOutcome")],
)  # fmt: skip
def test_the_answer_to_a_creation_is_what_the_client_prefers(
    writer: FlaskClient, prefer: str, type_: str | None
) -> None:
    made = writer.post("/fhir/Task", json=TASK, headers={"Prefer": prefer})
    assert made.status_code == 201
    assert (made.json["resourceType"] if made.data else None) == type_


def test_a_conditional_creation_makes_one(writer: FlaskClient) -> None:
    condition = {"If-None-Exist": "identifier=urn:example:order|o1"}
    first = writer.post("/fhir/ServiceRequest", json=ORDER, headers=condition)
    again = writer.post("/fhir/ServiceRequest", json=ORDER, headers=condition)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    writer.post("/fhir/ServiceRequest", json=ORDER)
    assert issue(writer.post("/fhir/ServiceRequest", json=ORDER, headers=condition), 412)


def test_xml_is_read_and_answered(writer: FlaskClient) -> None:
    body = (
        '<Task xmlns="http://hl7.org/fhir"><status value="requested"/><intent value="order"/>'
        '<code><text value="Read"/></code><for><reference value="Patient/alice"/></for></Task>'
    )
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    made = writer.post("/fhir/Task", data=body, headers=headers)
    assert (made.status_code, made.content_type) == (201, "application/fhir+xml")
    id_ = made.headers["Location"].split("/")[-3]
    assert writer.get(f"/fhir/Task/{id_}").json["for"] == {"reference": "Patient/alice"}


@pytest.mark.parametrize(
    ("change", "status", "where"),
    [
        ({"status": "unheard-of"}, 422, "Task.status"),
        ({"for": {"reference": "Patient/nobody"}}, 422, "Task.for"),
        ({"for": {"display": "Somebody"}}, 422, "Task.for"),
        ({"focus": {"reference": "DiagnosticReport/b1"}}, 422, "Task.focus"),
        ({"encounter": {"reference": "Encounter/e"}}, 422, "Task.encounter.reference"),
        ({"nick": "x"}, 422, "Task.nick"),
        ({"resourceType": "Observation"}, 422, ""),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_place(
    writer: FlaskClient, change: Json, status: int, where: str
) -> None:
    found = issue(writer.post("/fhir/Task", json={**TASK, **change}), status)
    assert where in found.get("expression", [""])[0]
    assert writer.get("/fhir/Task?_summary=count").json["total"] == 0


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/fhir+json", 400),
        (b"[]", "application/fhir+json", 400),
        (b'{"resourceType":"Task","status":NaN}', "application/fhir+json", 400),
        (b'{"resourceType":"Task","resourceType":"Task"}', "application/fhir+json", 400),
        (b'{"resourceType":' * 3000, "application/fhir+json", 400),
        (b"<Task", "application/fhir+xml", 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Task xmlns="http://hl7.org/fhir">&b;</Task>',
         "application/fhir+xml", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/turtle", 415),
        (b"{" + b" " * 10_000_001, "application/fhir+json", 413),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused(
    writer: FlaskClient, body: bytes, kind: str, status: int
) -> None:
    assert issue(writer.post("/fhir/Task", data=body, content_type=kind), status)


def test_a_scope_to_read_writes_nothing(client: FlaskClient) -> None:
    assert issue(client.post("/fhir/Task", json=TASK), 403)
    assert issue(client.put("/fhir/Task/x", json={**TASK, "id": "x"}), 403)


# -- update ---------------------------------------------------------------------------------


def test_an_update_makes_a_version_unless_it_says_nothing_new(writer: FlaskClient) -> None:
    made = writer.post("/fhir/Task", json=TASK).json
    path = f"/fhir/Task/{made['id']}"
    changed = {**made, "status": "completed"}
    again = writer.put(path, json=changed, headers={"If-Match": 'W/"1"'})
    assert (again.status_code, again.headers["ETag"]) == (200, 'W/"2"')
    assert writer.put(path, json=changed).headers["ETag"] == 'W/"2"'
    assert issue(writer.put(path, json=changed, headers={"If-Match": 'W/"1"'}), 412)
    assert writer.get(f"{path}/_history/1").json["status"] == "requested"
    assert writer.get(f"/fhir/Provenance?target=Task/{made['id']}").json["total"] == 2


def test_a_resource_never_moves_to_another_patient(writer: FlaskClient) -> None:
    order = writer.post("/fhir/ServiceRequest", json=ORDER).json
    moved = {**order, "subject": {"reference": "Patient/bob"}}
    found = issue(writer.put(f"/fhir/ServiceRequest/{order['id']}", json=moved), 422)
    assert found["expression"] == ["ServiceRequest.subject"]


def test_ids_are_given_by_the_server(writer: FlaskClient) -> None:
    assert issue(writer.put("/fhir/Task/mine", json={**TASK, "id": "mine"}), 405)
    made = writer.post("/fhir/Task", json={**TASK, "id": "mine"}).json
    assert made["id"] != "mine"
    assert issue(writer.put(f"/fhir/Task/{made['id']}", json=TASK), 422)


def test_what_messages_keep_is_changed_by_messages_only(
    writer: FlaskClient, server: Server
) -> None:
    from gateway.store.resources import NewVersion, save
    from tests.store.records import NOW

    with server.database.write() as connection:
        key = connection.execute(select(patient.c.key).where(patient.c.id == "alice")).scalar_one()
        save(connection, [NewVersion("ServiceRequest", "kept", ORDER, key)], NOW)
    changed = {**ORDER, "id": "kept", "status": "revoked"}
    assert issue(writer.put("/fhir/ServiceRequest/kept", json=changed), 405)
    assert writer.get("/fhir/ServiceRequest/kept").json["status"] == "active"


def test_a_conditional_update_changes_makes_or_refuses(writer: FlaskClient) -> None:
    path = "/fhir/ServiceRequest?identifier=urn:example:order|o1"
    made = writer.put(path, json=ORDER)
    changed = writer.put(path, json={**ORDER, "status": "completed"})
    assert (made.status_code, changed.status_code) == (201, 200)
    assert changed.json["id"] == made.json["id"]
    writer.post("/fhir/ServiceRequest", json=ORDER)
    assert issue(writer.put(path, json=ORDER), 412)
    assert issue(writer.put("/fhir/ServiceRequest", json=ORDER), 412)


# -- patients -------------------------------------------------------------------------------


def test_only_a_client_that_keeps_the_index_makes_a_patient(
    writer: FlaskClient, keeper: FlaskClient, server: Server
) -> None:
    assert issue(writer.post("/fhir/Patient", json=PERSON), 403)
    made = keeper.post("/fhir/Patient", json=PERSON)
    assert made.status_code == 201
    with server.database.read() as connection:
        query = (
            select(patient.c.id)
            .join(patient_identifier, patient_identifier.c.patient_key == patient.c.key)
            .where(patient_identifier.c.value == "1506241115")
        )
        assert connection.execute(query).scalars().all() == [made.json["id"]]


def test_sex_may_be_corrected_but_not_who_it_is(writer: FlaskClient, keeper: FlaskClient) -> None:
    made = keeper.post("/fhir/Patient", json=PERSON).json
    path = f"/fhir/Patient/{made['id']}"
    assert writer.put(path, json={**made, "gender": "female"}).json["gender"] == "female"
    assert issue(writer.put(path, json={**made, "birthDate": "1925-06-15"}), 403)
    renamed = {**made, "name": [{"family": "Other", "given": ["Callum"]}]}
    assert issue(writer.put(path, json=renamed), 403)
    assert keeper.put(path, json=renamed).json["name"][0]["family"] == "Other"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"telecom": [{"system": "phone", "value": "0"}]}, "Patient.telecom"),
        ({"identifier": [{"system": CHI, "value": "0101625707"}]}, "Patient.identifier"),
        ({"identifier": [{"system": CHI, "value": "1506241116"}]}, "Patient.identifier"),
        ({"birthDate": "1924"}, "Patient.name"),
        ({"active": False}, "Patient.active"),
    ],
)
def test_a_patient_that_the_index_cannot_keep_is_refused(
    keeper: FlaskClient, change: Json, where: str
) -> None:
    assert issue(keeper.post("/fhir/Patient", json={**PERSON, **change}), 422)["expression"] == [
        where
    ]


# -- batches and transactions ---------------------------------------------------------------


def entry(method: str, url: str, resource: Json | None = None, **more: Any) -> Json:
    request = {"method": method, "url": url, **more.pop("request", {})}
    return {**({"resource": resource} if resource else {}), "request": request, **more}


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def test_a_transaction_names_its_own_resources_and_reads_last(writer: FlaskClient) -> None:
    order, task = "urn:uuid:0f6c6b5e-1111-4a6e-8a9f-000000000001", "urn:uuid:0f6c6b5e-2222"
    about = {**TASK, "focus": {"reference": order}, "basedOn": [{"reference": order}]}
    sent = bundle(
        "transaction",
        entry("GET", "Task?patient=alice"),
        entry("POST", "Task", about, fullUrl=task),
        entry("POST", "ServiceRequest", {**ORDER, "subject": {
            "reference": f"Patient?identifier={CHI}|0101625707"}}, fullUrl=order),
    )  # fmt: skip
    answer = writer.post("/fhir", json=sent)
    assert answer.status_code == 200, answer.text
    found, made, ordered = answer.json["entry"]
    assert answer.json["type"] == "transaction-response"
    assert found["resource"]["total"] == 1
    assert made["response"]["status"] == "201 Created"
    number = ordered["fullUrl"].rpartition("/")[2]
    stored = writer.get(made["fullUrl"].partition("/fhir")[2].join(("/fhir", ""))).json
    assert stored["focus"] == {"reference": f"ServiceRequest/{number}"}
    kept = writer.get(f"/fhir/ServiceRequest/{number}").json
    assert kept["subject"] == {"reference": "Patient/alice"}


def test_a_transaction_makes_a_patient_and_what_is_about_it(keeper: FlaskClient) -> None:
    who = "urn:uuid:0f6c6b5e-3333-4a6e-8a9f-000000000003"
    sent = bundle(
        "transaction",
        entry("POST", "ServiceRequest", {**ORDER, "subject": {"reference": who}}),
        entry("POST", "Patient", PERSON, fullUrl=who),
    )
    answer = keeper.post("/fhir/", json=sent, headers={"Prefer": "return=representation"})
    order, person = (one["resource"] for one in answer.json["entry"])
    assert order["subject"] == {"reference": f"Patient/{person['id']}"}


@pytest.mark.parametrize(
    ("bad", "status", "where"),
    [
        (entry("POST", "Task", {**TASK, "status": "x"}), 422, "Bundle.entry[1].resource.status"),
        (entry("POST", "Observation", {"resourceType": "Observation"}), 405, "Bundle.entry[1]"),
        (entry("DELETE", "Patient/alice"), 405, "Bundle.entry[1].request"),
        (entry("PUT", "Task/unknown", {**TASK, "id": "unknown"}), 405, "Bundle.entry[1]"),
        (entry("GET", "Task/unknown"), 404, "Bundle.entry[1]"),
        (entry("POST", "Task", {**TASK, "for": {"reference": "Patient?gender=male"}}), 412,
         "Bundle.entry[1]"),
    ],
)  # fmt: skip
def test_a_transaction_that_fails_leaves_nothing(
    writer: FlaskClient, server: Server, bad: Json, status: int, where: str
) -> None:
    sent = bundle("transaction", entry("POST", "ServiceRequest", ORDER), bad)
    found = issue(writer.post("/fhir", json=sent), status)
    assert [*found.get("expression", ()), *found.get("location", ())][0].startswith(where)
    with server.database.read() as connection:
        query = select(func.count()).select_from(resource)
        assert connection.execute(query.where(resource.c.type == "ServiceRequest")).scalar() == 0


def test_each_entry_of_a_batch_stands_alone(writer: FlaskClient) -> None:
    sent = bundle(
        "batch",
        entry("POST", "Task", {**TASK, "status": "x"}),
        entry("POST", "Task", TASK),
        entry("GET", "Patient/alice"),
        entry("GET", "Patient/nobody"),
    )
    answer = writer.post("/fhir", json=sent)
    statuses = [one["response"]["status"] for one in answer.json["entry"]]
    assert answer.json["type"] == "batch-response"
    assert statuses == ["422", "201 Created", "200 OK", "404"]
    first = answer.json["entry"][0]["response"]["outcome"]["issue"][0]
    assert first["expression"] == ["Bundle.entry[0].resource.status"]


@pytest.mark.parametrize(
    "sent",
    [
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        {"resourceType": "Bundle", "type": "batch", "entry": [None]},
        {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET"}}]},
        bundle("batch", entry("JUMP", "Patient/alice")),
        bundle("transaction", entry("POST", "Task")),
        {"resourceType": "Patient"},
    ],
)
def test_what_is_no_batch_is_refused(writer: FlaskClient, sent: Json) -> None:
    assert issue(writer.post("/fhir", json=sent), 400)


def test_a_transaction_keeps_to_the_scopes_of_the_caller(app: Flask, grant: Grant) -> None:
    headers = grant("system/Task.cr system/Patient.r system/DiagnosticReport.r")
    client = app.test_client()
    alone = bundle("transaction", entry("POST", "Task", TASK))
    both = bundle(
        "transaction", entry("POST", "Task", TASK), entry("POST", "ServiceRequest", ORDER)
    )
    assert client.post("/fhir", json=both, headers=headers).status_code == 403
    assert client.post("/fhir", json=alone, headers=headers).status_code == 200
