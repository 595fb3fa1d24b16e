"""The authorization server as a browser and an app meet it, with one person signed in."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Iterable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.config import Settings
from gateway.identify.chi import ALIASES
from gateway.oauth.clients import Registration, register_client
from gateway.oauth.keys import client_assertion, new_key
from gateway.serve.fhir.views import fhir_blueprint
from gateway.serve.oauth import pages
from gateway.serve.server import open_server
from gateway.serve.session import SignedIn
from gateway.serve.smart import smart_blueprint
from gateway.store import people
from gateway.store.clients import ASYMMETRIC, PUBLIC, Client
from gateway.store.database import Database
from gateway.store.relationships import Party, relate
from tests.serve.conftest import journal_lines
from tests.store.records import add_patient, add_report

VERIFIER = "a-verifier-of-the-tests-with-more-than-43-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
BACK = "https://app.example/back"
SCOPE = "launch launch/patient openid fhirUser offline_access patient/*.rs user/DiagnosticReport.rs"
KEY = new_key("ES384")
CHI_OF_ALICE = "0101625707"
MORAG = people.Person(1, "0f5b7c1e-person", "local", "morag", "Morag Clinician", True,
                      (people.Role("clinician", "S08000024", "genetics"),))  # fmt: skip


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.micros = 1_760_000_000_000_000

    def __call__(self) -> int:
        return self.micros

    @property
    def seconds(self) -> int:
        return self.micros // 1_000_000

    def pass_seconds(self, seconds: int) -> None:
        self.micros += seconds * 1_000_000


class Site:
    """One gateway with a patient, a person, a public app and a backend client."""

    def __init__(
        self, database: Database, folder: Path, keys: Path, patch: pytest.MonkeyPatch,
        **settings: Any,
    ) -> None:  # fmt: skip
        self.clock, self.person = Clock(), MORAG
        self.settings = Settings(data=folder, keys=keys, rate_per_minute=10_000, **settings)
        self.server = open_server(self.settings, database, ALIASES, self.clock)
        patch.setattr(people, "find_person", lambda _, id_: self._found(id_))
        patch.setattr(pages, "signed_in", lambda _: self.session())
        with database.write() as connection:
            alice = add_patient(connection, "alice", CHI_OF_ALICE)
            add_report(connection, "a1", "alice", alice)
            relate(connection, alice, [Party("treating", MORAG.roles[0].board)], self.clock())
        self.app = self.register(PUBLIC, redirect_uris=(BACK,))
        self.backend = self.register(
            ASYMMETRIC, scope="system/*.rs gateway/launch.write gateway/client.register",
            jwks={"keys": [KEY[1]]},
        )  # fmt: skip
        self.browser = self._flask().test_client()

    def _flask(self) -> Flask:
        made = Flask("test")
        made.register_blueprint(smart_blueprint(self.server))
        made.register_blueprint(fhir_blueprint(self.server))
        return made

    def another_browser(self) -> FlaskClient:
        return self._flask().test_client()

    def _found(self, id_: str) -> people.Person | None:
        return self.person if self.person.id == id_ else None

    def session(self) -> SignedIn | None:
        if not self.person.active:
            return None
        return SignedIn(self.person, ("pwd", "otp"), self.clock() - 5_000_000, "csrf-of-session")

    def register(self, kind: str, **more: Any) -> Client:
        client, self.secret = register_client(
            self.server.database,
            Registration(**{"name": "Growth chart", "scope": f"{SCOPE} online_access", "kind": kind,
                            "owner": "NHS Example", **more}),
            self.clock(),
        )  # fmt: skip
        return client

    def asking(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of an authorization request; None leaves one out."""
        given = {
            "response_type": "code",
            "client_id": self.app.id,
            "redirect_uri": BACK,
            "scope": SCOPE.removeprefix("launch "),
            "state": "a state & more",
            "nonce": "a nonce",
            "aud": self.settings.fhir_base,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | more
        return {name: value for name, value in given.items() if value is not None}

    def authorize(self, **more: Any) -> TestResponse:
        return self.browser.get("/oauth/authorize", query_string=self.asking(**more))

    def pick(self, page: TestResponse, number: str = CHI_OF_ALICE) -> TestResponse:
        form = {**hidden(page), "identifier": number}
        return self.browser.post("/oauth/authorize/patient", data=form)

    def decide(
        self, page: TestResponse, scopes: Iterable[str] | None = None, decision: str = "allow"
    ) -> TestResponse:
        shown = ticked(page) if scopes is None else list(scopes)
        form = {**hidden(page), "scope": shown, "decision": decision}
        return self.browser.post("/oauth/authorize/decision", data=form)

    def code(self, **more: Any) -> str:
        page = self.authorize(**more)
        if "Which patient" in page.text:
            page = self.pick(page)
        return sent(self.decide(page))["code"]

    def token(self, code: str, browser: FlaskClient | None = None, **more: Any) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "client_id": self.app.id,
        } | more
        form = {name: value for name, value in form.items() if value is not None}
        return (browser or self.browser).post("/oauth/token", data=form)

    def refresh(self, token: str, browser: FlaskClient | None = None, **more: Any) -> TestResponse:
        form = {"grant_type": "refresh_token", "refresh_token": token, **more}
        return (browser or self.browser).post("/oauth/token", data=form)

    def assertion(self, jti: str, client: Client | None = None) -> dict[str, str]:
        token_url = f"{self.server.oauth.issuer.url}/oauth/token"
        client_id = (client or self.backend).id
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": client_assertion(
                KEY[0], client_id, token_url, self.clock.seconds, jti
            ),
        }

    def backend_token(self, scope: str) -> str:
        form = {"grant_type": "client_credentials", "scope": scope,
                **self.assertion(uuid.uuid4().hex)}  # fmt: skip
        return str(self.browser.post("/oauth/token", data=form).json["access_token"])

    def launch(self, **context: Any) -> str:
        bearer = self.backend_token("gateway/launch.write")
        answer = self.browser.post(
            "/oauth/launch", json={"client_id": self.app.id, **context}, headers=held(bearer)
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json["launch"])

    def read(self, token: str, path: str = "Patient/alice", **headers: str) -> TestResponse:
        return self.browser.get(f"/fhir/{path}", headers=held(token) | headers)

    def events(self) -> list[dict[str, Any]]:
        return journal_lines(self.server)


def held(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def hidden(page: TestResponse) -> dict[str, str]:
    """Return the hidden fields of the first form of a page."""
    assert page.status_code == 200, page.text
    form = next(one for one in page.text.split("</form>") if 'name="ask"' in one)
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


def ticked(page: TestResponse) -> list[str]:
    return [unescape(one) for one in re.findall(r'name="scope" value="([^"]*)"', page.text)]


def sent(response: TestResponse) -> dict[str, str]:
    """Return the parameters with which the browser is sent back to the app."""
    assert response.status_code == 303, response.text
    parts = urlsplit(response.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == BACK
    return {name: values[0] for name, values in parse_qs(parts.query).items()}
