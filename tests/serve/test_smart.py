from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from fhirpy import SyncFHIRClient
from flask import Flask
from flask.testing import FlaskClient

from gateway.errors import GatewayError, Unauthorized
from gateway.oauth.clients import fetch_token, register
from gateway.oauth.keys import new_key
from gateway.serve.server import Server
from tests.store.records import CHI, NOW


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_fhirpy_reads_reports_by_chi_with_a_signed_token(
    live: str, server: Server, algorithm: str
) -> None:
    private, public = new_key(algorithm)
    registered = register(server.database, "a portal", "system/*.rs", {"keys": [public]}, NOW)
    now = int(time.time())
    token = fetch_token(f"{live}/oauth/token", private, registered.id, "system/*.rs", now)
    portal = SyncFHIRClient(f"{live}/fhir", authorization=f"Bearer {token['access_token']}")
    found = (
        portal.resources("DiagnosticReport")
        .search(patient__identifier=f"{CHI}|0101625707")
        .include("DiagnosticReport", "result")
        .fetch_all()
    )
    assert sorted(report.id for report in found) == ["a1", "a2", "a3"]
    observation = portal.reference("Observation", "a2-0").to_resource()
    assert observation["status"] == "final"
    assert portal.resources("DiagnosticReport").search(patient="bob").count() == 1


def test_a_client_with_another_key_gets_no_token(live: str, server: Server) -> None:
    registered = register(
        server.database, "a portal", "system/*.rs", {"keys": [new_key("ES384")[1]]}, NOW
    )
    with pytest.raises(Unauthorized):
        fetch_token(
            f"{live}/oauth/token",
            new_key("ES384")[0],
            registered.id,
            "system/*.rs",
            int(time.time()),
        )


def test_nobody_there_is_said(server: Server) -> None:
    with pytest.raises(GatewayError):
        fetch_token(
            f"{server.settings.base_url}/oauth/token", new_key("ES384")[0], "id", "system/*.rs", 0
        )


def test_the_token_endpoint_keeps_the_error_bodies_of_oauth(app: Flask) -> None:
    response = app.test_client().post("/oauth/token", data={"grant_type": "password"})
    assert response.status_code == 400
    assert response.json["error"] == "unsupported_grant_type"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.content_type == "application/json"


def test_the_host_header_decides_nothing(
    client: FlaskClient, server: Server, grant: Callable[..., dict[str, str]]
) -> None:
    bundle = client.get("/fhir/DiagnosticReport?patient=bob", headers={"Host": "evil.example"}).json
    assert bundle["entry"][0]["fullUrl"].startswith(server.settings.base_url)
