"""The OpenAPI document and its page say what is registered, and nothing asked of it breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings

from gateway.app import create_app, open_parts
from gateway.config import Settings
from gateway.oauth.clients import register
from gateway.serve.fhir.views import fhir_routes
from gateway.store.clients import Token, save_token, token_digest
from gateway.store.database import now_micros
from tests.serve.conftest import KEY
from tests.store.records import NOW, add_patient, add_report

TOKEN = "a token of the tests"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application as it is served, with one patient and a client that may do everything."""
    chosen = Settings(data=tmp_path_factory.mktemp("whole"), development=True)
    opened = open_parts(chosen, upgrade=True).database
    client = register(opened, "a test", "system/*.cruds", {"keys": [KEY[1]]}, NOW)
    with opened.write() as connection:
        key = add_patient(connection, "alice", "0101625707")
        add_report(connection, "a1", "alice", key)
        expires = now_micros() + 3_600_000_000
        row = Token(client.id, "system/*.cruds gateway/hl7.send", now_micros(), expires)
        save_token(connection, token_digest(TOKEN), row)
    opened.close()
    app = create_app(chosen)
    yield app
    app.extensions["gateway"].database.close()


@pytest.fixture(scope="module")
def document(whole: Flask) -> Any:
    return whole.test_client().get("/openapi.json").json


def test_every_rule_of_the_application_is_described(whole: Flask, document: Any) -> None:
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    for rule in whole.url_map.iter_rules():
        if rule.endpoint.startswith("fhir."):
            continue
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert (method.lower(), path) in described
    for route in fhir_routes():
        found = [one for one in document["paths"].values() if route.method.lower() in one]
        assert any(one[route.method.lower()]["summary"] == route.summary for one in found) or (
            route.code == "batch"  # the same request as a transaction
        )


def test_no_door_of_ours_is_without_words(document: Any) -> None:
    tags = {
        tag for item in document["paths"].values() for one in item.values() for tag in one["tags"]
    }
    assert "Other" not in tags


def test_the_page_needs_nothing_from_elsewhere(whole: Flask) -> None:
    answer = whole.test_client().get("/docs/api")
    assert answer.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    loaded = re.findall(r'<link[^>]*href="([^"]+)"|src="([^"]+)"', answer.text)
    assert loaded == [("/docs/api.css", "")]
    assert "url(" not in whole.test_client().get("/docs/api.css").text
    for route in fhir_routes():
        assert route.summary.replace("'", "&#39;") in answer.text


@pytest.mark.parametrize(("token", "examples"), [("", 1), (TOKEN, 3)])
def test_nothing_that_the_document_allows_breaks_the_server(
    whole: Flask, token: str, examples: int
) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", whole)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    broken: set[str] = set()

    def ask(case: Any) -> None:
        answer = case.call(headers=headers)
        if answer.status_code >= 500:
            broken.add(f"{case.method} {case.path}: {answer.status_code}")

    chosen = settings(
        max_examples=examples, database=None, deadline=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for found in schema.get_all_operations():
        chosen(given(found.ok().as_strategy())(ask))()
    assert broken == set()
