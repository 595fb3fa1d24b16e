"""Break-glass over HTTP: who may, what it opens, what is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.access.access import Access
from gateway.access.caller import Caller
from gateway.errors import NotFound, StoreUnavailable, Unauthorized
from gateway.oauth.bearer import Bearer
from gateway.oauth.dpop import Proof
from gateway.serve.access import access_blueprint
from gateway.serve.server import Server
from gateway.store import grants, resources
from gateway.store.audit import Event
from gateway.store.dates import interval
from tests.serve.conftest import journal_lines
from tests.store.records import restrict

ADA = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), boards=("B1",))


@dataclass
class Bearers:
    """Knows callers by name in place of tokens."""

    server: Server
    callers: dict[str, Caller]

    def access_of(self, name: str) -> Access:
        return self.bearer(f"Bearer {name}", None).access

    def bearer(self, authorization: str | None, _proof: Proof | None) -> Bearer:
        name = (authorization or "").removeprefix("Bearer ")
        if name not in self.callers:
            raise Unauthorized
        caller, now = self.callers[name], self.server.clock()
        return Bearer(caller, self.server.policy.access(caller, now), now, "")


@pytest.fixture
def bearers(server: Server) -> Bearers:
    others = {
        "operator": replace(ADA, person="oli", roles=("operator",)),
        "backend": Caller("backend", ("system/*.rs",)),
        "bo": replace(ADA, person="bo"),
    }
    return Bearers(server, {"ada": ADA, **others})


@pytest.fixture
def client(server: Server, bearers: Bearers) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(access_blueprint(replace(server, bearers=bearers)))
    return app.test_client()


def _break(client: FlaskClient, who: str = "ada", **changed: Any) -> Any:
    body = {"patient": "Patient/alice", "reason": "unconscious, no other record", **changed}
    headers = {"Authorization": f"Bearer {who}"}
    return client.post("/access/break-glass", json=body, headers=headers)


def _sees(server: Server, bearers: Bearers, who: str, id_: str) -> bool:
    with server.database.read() as connection:
        try:
            resources.read(connection, bearers.access_of(who), "DiagnosticReport", id_)
        except NotFound:
            return False
    return True


def test_a_clinician_who_breaks_the_glass_sees_that_patient_alone_and_for_a_while(
    client: FlaskClient, server: Server, bearers: Bearers
) -> None:
    assert not _sees(server, bearers, "ada", "a1")
    answer = _break(client)
    assert answer.status_code == 201
    assert answer.json["patient"] == "Patient/alice"
    expires = interval(answer.json["expires"])[0]
    assert 0 < expires - server.clock() <= 3_600_000_000
    assert _sees(server, bearers, "ada", "a1")
    assert not _sees(server, bearers, "ada", "b1")
    assert not _sees(server, bearers, "bo", "a1")
    later = replace(server, clock=lambda: expires + 1000)
    assert not _sees(server, Bearers(later, bearers.callers), "ada", "a1")


def test_it_never_opens_what_is_restricted(
    client: FlaskClient, server: Server, bearers: Bearers
) -> None:
    with server.database.write() as connection:
        restrict(connection, "a1")
    assert _break(client).status_code == 201
    assert _sees(server, bearers, "ada", "a2")
    assert not _sees(server, bearers, "ada", "a1")


def test_it_is_audited_and_told_without_patient_data_and_awaits_review(
    client: FlaskClient, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        key = _break(client).json["grant"]
    (line,) = journal_lines(server)
    assert (line["interaction"], line["target"], line["status"]) == (
        "break-glass", "Patient/alice", 201
    )  # fmt: skip
    assert (line["client"], line["person"], line["patient"]) == ("app", "ada", "alice")
    (record,) = caplog.records
    assert (record.levelname, record.grant) == ("WARNING", key)
    assert "alice" not in record.getMessage()
    with server.database.write() as connection:
        (waiting,) = grants.unreviewed(connection)
        assert (waiting.key, waiting.grantee, waiting.patient) == (key, "person:ada", "alice")
        assert waiting.reason == "unconscious, no other record"
        grants.review_grant(connection, key, "the privacy officer")
        assert grants.unreviewed(connection) == []


@pytest.mark.parametrize("who", ["operator", "backend"])
def test_who_may_not_is_refused_and_that_is_audited(
    client: FlaskClient, server: Server, who: str
) -> None:
    answer = _break(client, who)
    assert answer.status_code == 403
    assert answer.json["issue"][0]["code"] == "forbidden"
    assert [line["status"] for line in journal_lines(server)] == [403]
    with server.database.read() as connection:
        assert grants.list_grants(connection) == []


def test_nobody_is_asked_for_a_token(client: FlaskClient) -> None:
    answer = _break(client, "nobody")
    assert (answer.status_code, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"patient": "Patient/nobody"}, 404),
        ({"patient": "Organization/1"}, 400),
        ({"patient": 7}, 400),
        ({"reason": ""}, 400),
        ({"reason": "  "}, 400),
        ({"reason": "x" * 2000}, 400),
        ({"reason": ["x"]}, 400),
    ],
)
def test_what_is_not_understood_opens_nothing(
    client: FlaskClient, server: Server, changed: dict[str, Any], status: int
) -> None:
    assert _break(client, **changed).status_code == status
    with server.database.read() as connection:
        assert grants.list_grants(connection) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, body: bytes) -> None:
    headers = {"Authorization": "Bearer ada"}
    assert client.post("/access/break-glass", data=body, headers=headers).status_code == 400


def test_without_audit_the_glass_stays_whole(
    client: FlaskClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_event: Event, *, sync: bool) -> Callable[..., None]:
        raise StoreUnavailable

    monkeypatch.setattr(server.journal, "record", full)
    assert _break(client).status_code == 503
    with server.database.read() as connection:
        assert grants.list_grants(connection) == []
