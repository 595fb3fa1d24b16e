"""Every route of the whole application is listed here as open or guarded, and guarded ones refuse.

A new route fails the first test until it is listed; listed as guarded it is called without
credentials, and must refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from gateway.app import create_app
from gateway.config import Settings
from gateway.serve.fhir.searches import COMPARTMENT
from gateway.store.database import Database

OPEN, NOTHING, BEARER, CLIENT, SESSION, VISIT, APP = (
    "open", "nothing", "bearer", "client", "session", "visit", "app"
)  # fmt: skip
MINE = f"<any({','.join(sorted(COMPARTMENT))}):type_>"
# OPEN tells nothing about anybody. NOTHING says 404 or 405 to everybody. BEARER needs an access
# token, CLIENT a client that proves who it is, SESSION a browser that is signed in. VISIT is a
# form that anybody may send, from a page of ours. APP is a page for the request of a registered
# app; without one it is refused.
ROUTES = {
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": OPEN,  # inside the network of the operator only: README, "Watch it"
    "GET /static/<path:filename>": OPEN,
    "GET /openapi.json": OPEN,
    "GET /docs/api": OPEN,
    "GET /docs/api.css": OPEN,
    "GET /.well-known/oauth-authorization-server": OPEN,
    "GET /.well-known/openid-configuration": OPEN,
    "GET /fhir/.well-known/openid-configuration": OPEN,
    "GET /fhir/.well-known/smart-configuration": OPEN,
    "GET /fhir/metadata": OPEN,
    "GET /fhir/": NOTHING,
    "GET /fhir/<path:_rest>": NOTHING,
    "POST /fhir/<path:_rest>": NOTHING,
    "PUT /fhir/": NOTHING,
    "PUT /fhir/<path:_rest>": NOTHING,
    "PATCH /fhir/": NOTHING,
    "PATCH /fhir/<path:_rest>": NOTHING,
    "DELETE /fhir/": NOTHING,
    "DELETE /fhir/<path:_rest>": NOTHING,
    "GET /fhir/<type_>": BEARER,
    "GET /fhir/<type_>/<id_>": BEARER,
    "GET /fhir/<type_>/<id_>/_history": BEARER,
    "GET /fhir/<type_>/<id_>/_history/<version>": BEARER,
    "GET /fhir/<type_>/_history": BEARER,
    "GET /fhir/_history": BEARER,
    "GET /fhir/AuditEvent": BEARER,
    "GET /fhir/AuditEvent/<id_>": BEARER,
    "POST /fhir/AuditEvent/_search": BEARER,
    f"GET /fhir/Patient/<id_>/{MINE}": BEARER,
    f"POST /fhir/Patient/<id_>/{MINE}/_search": BEARER,
    "GET /fhir/Patient/<id_>/$everything": BEARER,
    "GET /fhir/DiagnosticReport/<id_>/$document": BEARER,
    "POST /fhir/<type_>/$validate": BEARER,
    "GET /fhir/ConceptMap/$translate": BEARER,
    "POST /fhir/ConceptMap/$translate": BEARER,
    "GET /fhir/ValueSet/$expand": BEARER,
    "POST /fhir/ValueSet/$expand": BEARER,
    "POST /fhir/Patient/$match": BEARER,
    "GET /fhir/Patient/$ihe-pix": BEARER,
    "POST /fhir": BEARER,
    "POST /fhir/": BEARER,
    "POST /fhir/<type_>": BEARER,
    "PUT /fhir/<type_>": BEARER,
    "PUT /fhir/<type_>/<id_>": BEARER,
    "POST /access/break-glass": BEARER,
    "POST /fhir/<type_>/_search": BEARER,
    "POST /hl7": BEARER,
    "GET /hl7/messages": BEARER,
    "GET /hl7/notices": BEARER,
    "GET /oauth/jwks": OPEN,
    "POST /oauth/token": CLIENT,
    "POST /oauth/introspect": CLIENT,
    "POST /oauth/revoke": CLIENT,
    "GET /oauth/userinfo": BEARER,
    "POST /oauth/userinfo": BEARER,
    "POST /oauth/launch": BEARER,
    "POST /oauth/register": NOTHING,  # as long as the setting `registration` is off
    "GET /oauth/authorize": APP,
    "POST /oauth/authorize": APP,
    "POST /oauth/authorize/patient": APP,
    "POST /oauth/authorize/decision": APP,
    "GET /sign-in": OPEN,
    "GET /sign-in/code": OPEN,
    "GET /sign-in/upstream": OPEN,
    "GET /sign-in/callback": VISIT,
    "POST /sign-in": VISIT,
    "POST /sign-in/code": VISIT,
    "POST /sign-out": SESSION,
    "GET /account": SESSION,
    "POST /account/password": SESSION,
    "GET /account/authenticator": SESSION,
    "POST /account/authenticator": SESSION,
    "POST /account/authenticator/remove": SESSION,
}
_EXAMPLES = {
    "type_": "DiagnosticReport", "id_": "a-report", "version": "1", "_rest": "a/b/c/d/e",
    "filename": "gateway.css",
}  # fmt: skip


def _routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        # HEAD is GET; OPTIONS of a route is Flask's own answer unless the route asks for it.
        for method in (rule.methods or set()) - {"HEAD"}:
            if method != "OPTIONS" or rule.provide_automatic_options is False:
                yield f"{method} {rule.rule}"


@pytest.fixture(scope="module")
def app(sqlite_schema: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("routes")
    (folder / "gateway.db").write_bytes(sqlite_schema.read_bytes())
    made = create_app(
        Settings(data=folder, sign_in_issuer="https://provider.invalid", sign_in_client_id="c")
    )
    yield made
    database: Database = made.extensions["gateway"].database
    database.close()


def _call(app: Flask, route: str, headers: dict[str, str]) -> TestResponse:
    method, rule = route.split(" ", 1)
    path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", lambda found: _EXAMPLES[found[1]], rule)
    data = {"a": "b"} if method in ("POST", "PUT", "PATCH") else None
    return app.test_client().open(path, method=method, data=data, headers=headers)


def _of(*kinds: str) -> list[str]:
    return [route for route, kind in ROUTES.items() if kind in kinds]


def test_every_route_is_listed(app: Flask) -> None:
    assert sorted(set(_routes(app))) == sorted(ROUTES)


@pytest.mark.parametrize("authorization", ["", "Bearer invented", "Basic YTpi", "Bearer "])
@pytest.mark.parametrize("route", _of(BEARER))
def test_without_a_token_it_is_refused(app: Flask, route: str, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = _call(app, route, headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", _of(CLIENT))
def test_without_a_client_it_is_refused(app: Flask, route: str) -> None:
    answer = _call(app, route, {})
    assert answer.status_code in (400, 401)
    assert "access_token" not in answer.text


@pytest.mark.parametrize("cookie", ["", "gateway-session=invented", "gateway-session="])
@pytest.mark.parametrize("route", _of(SESSION))
def test_without_a_session_it_leads_to_the_sign_in(app: Flask, route: str, cookie: str) -> None:
    answer = _call(app, route, {"Cookie": cookie} if cookie else {})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=%2F")


@pytest.mark.parametrize("route", _of(VISIT))
def test_without_a_visit_of_its_page_it_is_refused(app: Flask, route: str) -> None:
    answer = _call(app, route, {})
    assert answer.status_code == 403
    assert "gateway-session" not in str(answer.headers)


@pytest.mark.parametrize("route", _of(NOTHING))
def test_where_nothing_is_nothing_is_told(app: Flask, route: str) -> None:
    assert _call(app, route, {}).status_code in (404, 405)


@pytest.mark.parametrize("route", [one for one in _of(OPEN) if one != "GET /sign-in/upstream"])
def test_what_is_open_answers_anybody(app: Flask, route: str) -> None:
    with _call(app, route, {}) as answer:
        assert answer.status_code in (200, 303)


@pytest.mark.parametrize("route", _of(APP))
def test_without_a_registered_app_nobody_is_sent_anywhere(app: Flask, route: str) -> None:
    answer = _call(app, route, {})
    assert answer.status_code == 400
    assert "Location" not in answer.headers
