"""The ethnic category is shown to whoever asked for it by scope, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import text

from gateway.serve.server import Server


def test_only_the_scope_shows_the_ethnic_category(
    client: FlaskClient, server: Server, grant: Callable[..., dict[str, str]]
) -> None:
    with server.database.write() as connection:
        connection.execute(text("UPDATE patient SET ethnic_category = '3F' WHERE id = 'alice'"))
    asks = grant("system/*.rs gateway/ethnicity.read")
    for url in ("/fhir/Patient/alice", "/fhir/Patient?_id=alice",
                "/fhir/DiagnosticReport?_id=a1&_include=DiagnosticReport:subject"):  # fmt: skip
        assert "EthnicCategory" not in client.get(url).text
        shown = client.get(url, headers=asks).get_json()
        found = [shown, *(one["resource"] for one in shown.get("entry", ()))]
        (patient,) = [one for one in found if one["resourceType"] == "Patient"]
        (extension,) = patient["extension"]
        assert extension["url"].endswith("Extension-UKCore-EthnicCategory")
        concept = extension["valueCodeableConcept"]
        assert [one["code"] for one in concept["coding"]] == ["3F", "J"]
        assert concept["text"] == "Pakistani"
    assert "extension" not in client.get("/fhir/Patient/bob", headers=asks).get_json()
    assert "extension" not in client.get("/fhir/Patient/alice/_history/1", headers=asks).get_json()
