from __future__ import annotations

from gateway.fhir import terms
from gateway.fhir.capability import (
    Operation,
    SearchParameter,
    Security,
    Server,
    TypeSupport,
    capability,
)
from gateway.fhir.conformance import Checker

SERVER = Server(
    base_url="https://gateway.example/fhir",
    version="0.1.0",
    date="2025-03-12",
    types=(
        TypeSupport("Patient", ("read", "search-type"), (), (SearchParameter("_id", "token"),)),
        TypeSupport(
            "DiagnosticReport",
            ("read", "vread"),
            (terms.profile("genomic-report"),),
            includes=("DiagnosticReport:result",),
            reverse_includes=("Provenance:target",),
            operations=(Operation("validate", "http://hl7.org/fhir/OperationDefinition/v"),),
        ),
    ),
    security=Security(
        token="https://gateway.example/oauth/token",
        authorize="https://gateway.example/oauth/authorize",
        jwks="https://gateway.example/oauth/jwks",
    ),
    interactions=("search-system",),
)


def test_the_statement_conforms_and_says_four_oh_one() -> None:
    written = capability(SERVER)
    assert Checker().problems(written) == []
    assert written["fhirVersion"] == "4.0.1"
    assert written["implementation"]["url"] == SERVER.base_url


def test_only_what_was_declared_is_claimed() -> None:
    patient, report = capability(SERVER)["rest"][0]["resource"]
    assert [one["code"] for one in patient["interaction"]] == ["read", "search-type"]
    assert patient["searchParam"] == [{"name": "_id", "type": "token"}]
    assert "operation" not in patient
    assert report["searchInclude"] == ["DiagnosticReport:result"]
    assert report["searchRevInclude"] == ["Provenance:target"]


def test_clients_find_where_to_get_a_token() -> None:
    security = capability(SERVER)["rest"][0]["security"]
    offered = {one["url"]: one["valueUri"] for one in security["extension"][0]["extension"]}
    assert offered == {
        "token": "https://gateway.example/oauth/token",
        "authorize": "https://gateway.example/oauth/authorize",
    }


def test_a_server_without_tokens_offers_none() -> None:
    bare = Server("https://gateway.example/fhir", "0.1.0", "2025-03-12", SERVER.types)
    assert "security" not in capability(bare)["rest"][0]
