from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwk, jwt

from gateway.config import Settings
from gateway.errors import InvalidRequest, Unauthorized
from gateway.oauth.bearer import Bearers
from gateway.oauth.clients import ASSERTION_TYPE, register
from gateway.oauth.issuer import Asked, Issuer, Reply
from gateway.oauth.keyring import Keyring
from gateway.oauth.keys import client_assertion, new_key
from gateway.oauth.server import open_oauth
from gateway.store.clients import deactivate_client, list_clients
from gateway.store.database import Database
from tests.oauth.site import Clock

URL = "http://127.0.0.1:8000/oauth/token"
KEYS = {algorithm: new_key(algorithm) for algorithm in ("RS384", "ES384")}


class Bench:
    """One client, the token endpoint and the bearer check on one database."""

    def __init__(self, database: Database, scope: str = "system/*.rs") -> None:
        self.clock, self.database = Clock(), database
        keys = {"keys": [public for _, public in KEYS.values()]}
        self.client = register(database, "a test", scope, keys, self.clock())
        self.bearers = Bearers(database, self.clock)
        issuer = Issuer(Settings(), database, Keyring(Path("never made")), self.clock)
        self.endpoint = open_oauth(issuer, self.bearers).token

    def assertion(self, algorithm: str = "ES384", jti: str = "once") -> str:
        private, _ = KEYS[algorithm]
        return client_assertion(private, self.client.id, URL, self.clock.seconds, jti)

    def ask(self, assertion: str, **more: str | list[str]) -> Reply:
        form: dict[str, str | list[str]] = {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            **more,
        }
        lists = {name: [v] if isinstance(v, str) else v for name, v in form.items()}
        return self.endpoint.answer(Asked("POST", URL, lists))

    def token(self, **more: str) -> str:
        return str(orjson.loads(self.ask(self.assertion(), **more).body)["access_token"])


@pytest.fixture
def bench(sqlite: Database) -> Bench:
    return Bench(sqlite)


def error(reply: Reply) -> str:
    assert reply.status in (400, 401)
    return str(orjson.loads(reply.body)["error"])


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_a_signed_assertion_gives_a_token(bench: Bench, algorithm: str) -> None:
    reply = bench.ask(bench.assertion(algorithm))
    answer = orjson.loads(reply.body)
    assert reply.status == 200
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer["expires_in"] <= 300
    assert dict(reply.headers)["Cache-Control"] == "no-store"
    access = bench.bearers.access(f"Bearer {answer['access_token']}")
    assert (access.client, access.allows("Patient", "r")) == (bench.client.id, True)


def test_the_token_itself_is_not_stored(bench: Bench) -> None:
    token = bench.token()
    with bench.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM oauth_token").all()
    assert token not in str(rows)


def test_an_assertion_is_good_once(bench: Bench) -> None:
    assert bench.ask(bench.assertion()).status == 200
    assert error(bench.ask(bench.assertion())) == "invalid_client"
    assert bench.ask(bench.assertion(jti="another")).status == 200


def test_one_of_many_racing_assertions_wins(database: Database) -> None:
    bench = Bench(database)
    assertion, start = bench.assertion(), threading.Barrier(8)
    replies: list[int] = []

    def race() -> None:
        start.wait()
        replies.append(bench.ask(assertion).status)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [200] + [400] * 7


def sign(
    bench: Bench, claims: Mapping[str, Any], header: Mapping[str, Any], key: Any = None
) -> str:
    private, _ = KEYS["RS384"]
    now = bench.clock.seconds
    whole = {
        "iss": bench.client.id,
        "sub": bench.client.id,
        "aud": URL,
        "exp": now + 200,
        "jti": "once",
        **claims,
    }
    whole = {name: value for name, value in whole.items() if value is not None}
    top = {"alg": "RS384", "kid": private["kid"], **header}
    top = {name: value for name, value in top.items() if value is not None}
    plain = {n: v for n, v in private.items() if n not in ("alg", "use")}
    return jwt.encode(top, whole, key or jwk.RSAKey.import_key(plain), algorithms=[top["alg"]])


def test_an_assertion_may_name_the_issuer_as_its_audience(bench: Bench) -> None:
    assert bench.ask(sign(bench, {"aud": URL.removesuffix("/oauth/token")}, {})).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example/token"},
        {"aud": f"{URL}/more"},
        {"aud": None},
        {"aud": 7},
        {"exp": 1_759_999_000},
        {"exp": 1_760_000_600},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 300},
        {"jti": "a\0b"},
        {"iss": "another"},
        {"iss": None},
        {"sub": "another"},
        {"sub": None},
        {"sub": 7},
        {"sub": "a\0b"},
        {"nbf": 1_760_000_500},
    ],
)
def test_a_wrong_claim_is_refused(bench: Bench, claims: dict[str, Any]) -> None:
    assert error(bench.ask(sign(bench, claims, {}))) == "invalid_client"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256"},
        {"alg": "RS512"},
        {"alg": "PS384"},
        {"kid": None},
        {"kid": "unknown"},
        {"typ": "at+jwt"},
    ],
)
def test_a_wrong_header_is_refused(bench: Bench, header: dict[str, Any]) -> None:
    assert error(bench.ask(sign(bench, {}, header))) == "invalid_client"


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "jwt"}])
def test_an_assertion_may_say_that_it_is_a_jwt(bench: Bench, header: dict[str, Any]) -> None:
    assert bench.ask(sign(bench, {}, header)).status == 200


def test_a_key_in_the_header_is_not_trusted(bench: Bench) -> None:
    private, public = new_key("RS384")
    plain = {n: v for n, v in private.items() if n not in ("alg", "use")}
    forged = sign(bench, {}, {"jwk": public}, jwk.RSAKey.import_key(plain))
    assert error(bench.ask(forged)) == "invalid_client"


def test_a_public_key_is_no_shared_secret(bench: Bench) -> None:
    key = jwk.OctKey.import_key(orjson.dumps(KEYS["RS384"][1]))
    assert error(bench.ask(sign(bench, {}, {"alg": "HS256"}, key))) == "invalid_client"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"client_assertion": "rubbish"}, "invalid_client"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
        ({"client_assertion_type": "urn:x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Patient.cud"}, "invalid_scope"),
        ({"scope": "patient/*.rs"}, "invalid_scope"),
        ({"scope": ["system/*.r", "system/*.s"]}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_refused(bench: Bench, more: dict[str, Any], expected: str) -> None:
    form = {"client_assertion": bench.assertion(), **more}
    assert error(bench.ask(form.pop("client_assertion"), **form)) == expected


def test_the_token_endpoint_is_for_posting(bench: Bench) -> None:
    asked = Asked("GET", URL, {"grant_type": ["client_credentials"]})
    assert error(bench.endpoint.answer(asked)) == "unsupported_grant_type"


@pytest.mark.parametrize(
    ("allowance", "asked", "granted"),
    [
        ("system/*.rs", "system/DiagnosticReport.r", "system/DiagnosticReport.r"),
        ("system/*.rs", "system/*.read", "system/*.read"),
        ("system/*.rs", "system/Patient.*", "system/Patient.read"),
        (
            "system/Patient.rs gateway/hl7.send",
            "system/*.cruds gateway/hl7.send",
            "system/Patient.rs gateway/hl7.send",
        ),
    ],
)
def test_scopes_are_granted_by_meaning(
    sqlite: Database, allowance: str, asked: str, granted: str
) -> None:
    bench = Bench(sqlite, allowance)
    answer = orjson.loads(bench.ask(bench.assertion(), scope=asked).body)
    assert answer["scope"] == granted


def test_a_token_expires(bench: Bench) -> None:
    header = f"Bearer {bench.token()}"
    bench.clock.pass_seconds(299)
    assert bench.bearers.access(header)
    bench.clock.pass_seconds(1)
    with pytest.raises(Unauthorized):
        bench.bearers.access(header)


def test_a_revoked_token_is_refused_everywhere_within_a_second(bench: Bench) -> None:
    header = f"Bearer {bench.token()}"
    elsewhere = Bearers(bench.database, bench.clock)
    assert bench.bearers.access(header) == elsewhere.access(header)
    bench.bearers.revoke(header.removeprefix("Bearer "))
    with pytest.raises(Unauthorized):
        bench.bearers.access(header)
    bench.clock.pass_seconds(1)
    with pytest.raises(Unauthorized):
        elsewhere.access(header)


def test_a_deactivated_client_has_no_way_in(bench: Bench) -> None:
    header = f"Bearer {bench.token()}"
    bench.bearers.access(header)
    with bench.database.write() as connection:
        deactivate_client(connection, bench.client.id, bench.clock())
    bench.clock.pass_seconds(1)
    with pytest.raises(Unauthorized):
        bench.bearers.access(header)
    assert error(bench.ask(bench.assertion(jti="again"))) == "invalid_client"
    with bench.database.read() as connection:
        assert [client.active for client in list_clients(connection)] == [False]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer unknown", "Basic abc", "unknown"]
)
def test_no_known_token_means_unauthorized(bench: Bench, header: str | None) -> None:
    with pytest.raises(Unauthorized):
        bench.bearers.access(header)


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [{"kty": "RSA", "kid": "1"}]},
        {"keys": [KEYS["ES384"][0]]},
        {"keys": [{n: v for n, v in KEYS["ES384"][1].items() if n != "kid"}]},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]},
    ],
)
def test_a_client_needs_usable_public_keys(sqlite: Database, jwks: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        register(sqlite, "a test", "system/*.rs", jwks, 0)


@pytest.mark.parametrize("scope", ["", "patient/*.sr", "system/*.sr", "everything"])
def test_a_client_needs_a_scope_that_exists(sqlite: Database, scope: str) -> None:
    with pytest.raises(InvalidRequest):
        register(sqlite, "a test", scope, {"keys": [KEYS["ES384"][1]]}, 0)


def test_keys_are_made_for_the_two_algorithms_only() -> None:
    with pytest.raises(InvalidRequest):
        new_key("HS256")


def test_a_public_base_without_tls_is_refused_unless_it_is_this_machine(bench: Bench) -> None:
    asked = Asked("POST", "http://gateway.example/oauth/token", {})
    assert error(bench.endpoint.answer(asked)) == "insecure_transport"
