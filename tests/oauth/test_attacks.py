"""What somebody with bad intentions tries: refused with its error, and told to the audit."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from joserfc import jwk, jwt

from gateway.oauth.keys import new_key
from gateway.store.clients import ASYMMETRIC
from gateway.store.database import Database
from tests.oauth.site import BACK, CHALLENGE, KEY, VERIFIER, Site, held, sent

FOREIGN = new_key("RS384")


@pytest.fixture(scope="module")
def rsa() -> tuple[dict[str, Any], dict[str, Any]]:
    return new_key("RS384")


def last(site: Site) -> tuple[str, int, str]:
    event = site.events()[-1]
    return event["interaction"], event["status"], event.get("detail", "")


def claims(site: Site, **more: Any) -> dict[str, Any]:
    made = {
        "iss": site.backend.id, "sub": site.backend.id, "exp": site.clock.seconds + 200,
        "aud": f"{site.settings.base_url}/oauth/token", "jti": "once", **more,
    }  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def ask(site: Site, assertion: str) -> Any:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs",
            **site.assertion("unused"), "client_assertion": assertion}  # fmt: skip
    return site.browser.post("/oauth/token", data=form)


def plain(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def signed(site: Site, header: dict[str, Any], key: Any = None, **more: Any) -> str:
    top = {"alg": "ES384", "typ": "JWT", "kid": KEY[0]["kid"], **header}
    private = key or jwk.import_key({n: v for n, v in KEY[0].items() if n not in ("alg", "use")})
    return jwt.encode(top, claims(site, **more), private, algorithms=[top["alg"]])


def refused_client(site: Site, assertion: str) -> None:
    answer = ask(site, assertion)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client")
    assert answer.headers["Cache-Control"] == "no-store"
    assert last(site) == ("token", 400, "invalid_client")


def test_alg_none(site: Site) -> None:
    head = {"alg": "none", "typ": "JWT", "kid": KEY[0]["kid"]}
    refused_client(site, f"{plain(head)}.{plain(claims(site))}.")


def test_a_public_key_as_shared_secret(site: Site, rsa: Any) -> None:
    keyed = site.register(ASYMMETRIC, scope="system/*.rs", jwks={"keys": [rsa[1]]})
    pem = jwk.import_key(rsa[1]).as_pem(private=False)
    head = plain({"alg": "HS256", "typ": "JWT", "kid": rsa[1]["kid"]})
    text = f"{head}.{plain(claims(site, iss=keyed.id, sub=keyed.id))}"
    for secret in (orjson.dumps(rsa[1]), pem, pem.strip()):  # no library would sign with these
        made = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256))
        refused_client(site, f"{text}.{made.decode().rstrip('=')}")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_comes_with_the_assertion(site: Site, name: str) -> None:
    value: Any = {"jwk": FOREIGN[1], "x5c": ["AAAA"]}.get(name, "https://evil.example/keys")
    refused_client(site, signed(site, {name: value}))
    private = jwk.import_key({n: v for n, v in FOREIGN[0].items() if n not in ("alg", "use")})
    header = {name: value, "alg": "RS384", "kid": FOREIGN[1]["kid"]}
    refused_client(site, signed(site, header, private))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://evil.example/token"}, {"aud": None}, {"iss": "somebody"}, {"iss": None},
        {"sub": "somebody"}, {"sub": None}, {"exp": 1_759_999_000}, {"exp": 1_760_009_000},
        {"exp": None}, {"jti": None}, {"nbf": 1_760_009_000},
    ],
)  # fmt: skip
def test_a_wrong_claim(site: Site, wrong: dict[str, Any]) -> None:
    refused_client(site, signed(site, {}, **wrong))


def test_an_assertion_twice(site: Site) -> None:
    assertion = signed(site, {})
    assert ask(site, assertion).status_code == 200
    refused_client(site, assertion)


def test_another_clients_code(site: Site) -> None:
    other = site.register("public", redirect_uris=(BACK,))
    code = site.code()
    answer = site.token(code, client_id=other.id)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert last(site) == ("token", 400, "invalid_grant")
    assert site.token(code).status_code == 200


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"code_verifier": VERIFIER[:-1] + "X"}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": "ü" * 50}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": BACK + "/"}, "invalid_grant"),
        ({"client_id": None}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"code": "guess"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
)
def test_a_stolen_code(site: Site, more: dict[str, Any], error: str) -> None:
    code = site.code()
    answer = site.token(**{"code": code} | more)
    assert (answer.status_code, answer.json["error"]) == (400, error)
    assert last(site) == ("token", 400, error)


def test_an_old_code(site: Site) -> None:
    code = site.code()
    site.clock.pass_seconds(61)
    assert site.token(code).json["error"] == "invalid_grant"


def test_a_code_twice_ends_what_it_gave(site: Site) -> None:
    code = site.code()
    token = site.token(code).json
    assert site.read(token["access_token"]).status_code == 200
    assert site.token(code).json["error"] == "invalid_grant"
    site.clock.pass_seconds(1)
    assert site.read(token["access_token"]).status_code == 401
    assert site.refresh(token["refresh_token"]).json["error"] == "invalid_grant"
    assert last(site) == ("refresh", 400, "invalid_grant")


@pytest.mark.parametrize(
    "more",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
        {"code_challenge": CHALLENGE + "="},
        {"aud": None},
        {"aud": "https://evil.example/fhir"},
        {"request": "eyJ"},
        {"request_uri": "https://evil.example/request"},
        {"response_mode": "fragment"},
        {"response_type": None},
        {"state": "x" * 3000},
        {"nonce": "a\0b"},
        {"dpop_jkt": "short"},
    ],
)
def test_a_weak_request_goes_back_refused(site: Site, more: dict[str, Any]) -> None:
    back = sent(site.authorize(**more))
    assert back["error"] == "invalid_request"
    assert back["iss"] == site.settings.base_url
    assert "code" not in back
    assert last(site) == ("authorize", 303, "invalid_request")


@pytest.mark.parametrize("kind", ["token", "id_token", "code token", "code id_token", "none"])
def test_other_response_types(site: Site, kind: str) -> None:
    assert sent(site.authorize(response_type=kind))["error"] == "unsupported_response_type"
    assert last(site) == ("authorize", 303, "unsupported_response_type")


@pytest.mark.parametrize(
    "scope", ["", "system/*.rs", "patient/*.dus", "patient/*.rs user/patient.rs", "nothing known"]
)
def test_scopes_that_are_none(site: Site, scope: str) -> None:
    assert sent(site.authorize(scope=scope))["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "uri",
    [
        None, "", "https://evil.example/back", BACK + "/more", BACK[:-1], BACK + "?x=1",
        BACK + "#x", "https://app.example@evil.example/back", "https://APP.example/back",
        "https://app.example/Back", "https://app.example/%62ack", "http://app.example/back",
        "https://app.example:443/back", "https://app.example/x/../back", "//app.example/back",
        "javascript:alert(1)", BACK + "\r\nX: y", f" {BACK}", "https://app.example\\@evil.example",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_an_address_that_is_not_registered(site: Site, uri: str | None) -> None:
    for more in ({}, {"response_type": "token"}):
        answer = site.authorize(redirect_uri=uri, **more)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        assert last(site) == ("authorize", 400, "refused")


def test_an_unknown_app(site: Site) -> None:
    for client_id in ("unknown", "a\0b", None, "'><script>"):
        answer = site.authorize(client_id=client_id)
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert "<script>" not in answer.text


def test_state_is_a_value_and_nothing_else(site: Site) -> None:
    state = "x&code=forged&iss=https://evil.example\r\nSet-Cookie: a=b#<script>"
    answer = site.decide(site.pick(site.authorize(state=state)))
    back = sent(answer)
    assert back["state"] == state
    assert back["code"] != "forged"
    assert back["iss"] == site.settings.base_url
    assert "\r" not in answer.headers["Location"]


def test_a_name_of_an_app_is_text(site: Site) -> None:
    app = site.register("public", redirect_uris=(BACK,), name="<script>alert(1)</script>")
    page = site.pick(site.authorize(client_id=app.id))
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state", "code_challenge"])
def test_a_parameter_twice_at_authorize(site: Site, name: str) -> None:
    query = urlencode(site.asking()) + f"&{name}={quote('https://evil.example/back')}"
    answer = site.browser.get(f"/oauth/authorize?{query}")
    if name in ("client_id", "redirect_uri"):
        assert answer.status_code == 400
    else:
        back = sent(answer)
        assert back["error"] == "invalid_request"
        assert "evil" not in answer.headers["Location"]


def test_a_parameter_twice_at_token(site: Site) -> None:
    form = {"grant_type": "authorization_code", "code": [site.code(), "other"],
            "redirect_uri": BACK, "code_verifier": VERIFIER, "client_id": site.app.id}  # fmt: skip
    assert site.browser.post("/oauth/token", data=form).json["error"] == "invalid_request"
    assert last(site) == ("token", 400, "invalid_request")


def test_two_proofs_of_who_the_client_is(site: Site) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **site.assertion("two")}
    answer = site.browser.post("/oauth/token", data=form, auth=(site.backend.id, "x"))
    assert answer.json["error"] == "invalid_request"


def test_a_form_without_the_token_of_the_session(site: Site) -> None:
    page = site.pick(site.authorize())
    for csrf in (None, "", "guess"):
        form = {"ask": page.text.split('name="ask" value="')[1].split('"')[0],
                "decision": "allow", "scope": "patient/*.rs"}  # fmt: skip
        form |= {"csrf": csrf} if csrf is not None else {}
        answer = site.browser.post("/oauth/authorize/decision", data=form)
        assert (answer.status_code, "Location" in answer.headers) == (403, False)
        assert last(site) == ("authorize", 403, "refused")


def test_a_page_of_somebody_else_or_of_long_ago(site: Site) -> None:
    page = site.pick(site.authorize())
    mine, site.person = site.person, replace(site.person, id="somebody-else")
    assert site.decide(page).status_code == 400
    site.person = mine
    site.clock.pass_seconds(601)
    assert site.decide(page).status_code == 400


@pytest.mark.parametrize(
    "scope",
    ["patient/*.cruds", "user/*.rs", "system/*.rs", "patient/*.rs user/Patient.r", "launch", "x"],
)
def test_more_scope_on_refresh(site: Site, scope: str) -> None:
    token = site.token(site.code()).json
    answer = site.refresh(token["refresh_token"], scope=scope)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")
    assert last(site) == ("refresh", 400, "invalid_scope")


def test_a_refresh_by_another_client(site: Site) -> None:
    token = site.token(site.code()).json["refresh_token"]
    other = site.register("public", redirect_uris=(BACK,))
    assert site.refresh(token, client_id=other.id).json["error"] == "invalid_grant"
    keyed = site.register(ASYMMETRIC, redirect_uris=(BACK,), jwks={"keys": [KEY[1]]})
    theirs = site.assertion("theirs", keyed)
    assert site.refresh(token, **theirs).json["error"] == "invalid_grant"
    assert site.refresh(token).status_code == 200


def test_a_confidential_clients_refresh_token_alone(site: Site) -> None:
    keyed = site.register(ASYMMETRIC, redirect_uris=(BACK,), jwks={"keys": [KEY[1]]})
    code = site.code(client_id=keyed.id)
    token = site.token(code, client_id=keyed.id, **site.assertion("a", keyed)).json
    refused = site.refresh(token["refresh_token"])
    assert refused.json["error"] == "invalid_client"
    named = site.refresh(token["refresh_token"], client_id=keyed.id)
    assert named.json["error"] == "invalid_client"


def test_a_refresh_token_twice_ends_the_family(site: Site) -> None:
    first = site.token(site.code()).json
    second = site.refresh(first["refresh_token"]).json
    assert site.refresh(first["refresh_token"]).json["error"] == "invalid_grant"
    assert last(site) == ("refresh", 400, "invalid_grant")
    assert site.refresh(second["refresh_token"]).json["error"] == "invalid_grant"
    site.clock.pass_seconds(1)
    assert site.read(second["access_token"]).status_code == 401


def test_a_token_in_an_address(site: Site) -> None:
    token = site.token(site.code()).json["access_token"]
    assert site.browser.get(f"/fhir/Patient/alice?access_token={token}").status_code == 401
    form = {"grant_type": "refresh_token"}
    answer = site.browser.post(f"/oauth/token?refresh_token={token}", data=form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert site.browser.get("/oauth/token?grant_type=client_credentials").status_code == 405


def test_too_much_at_once(site: Site) -> None:
    answer = site.browser.post("/oauth/token", data={"grant_type": "x" * 200_000})
    assert (answer.status_code, answer.json["error"]) == (413, "invalid_request")
    assert last(site)[:2] == ("token", 413)
    token = held(site.backend_token("gateway/launch.write"))
    answer = site.browser.post("/oauth/launch", data=b"x" * 200_000, headers=token)
    assert answer.status_code == 413
    assert site.browser.post("/oauth/authorize", data={"state": "x" * 200_000}).status_code == 413


def test_a_backend_asks_for_what_is_for_people(site: Site) -> None:
    form = {"grant_type": "client_credentials", "scope": "patient/*.rs openid offline_access",
            **site.assertion("people")}  # fmt: skip
    assert site.browser.post("/oauth/token", data=form).json["error"] == "invalid_scope"
    form = {"grant_type": "client_credentials", "client_id": site.app.id, "scope": "system/*.rs"}
    assert site.browser.post("/oauth/token", data=form).json["error"] == "unauthorized_client"
    assert last(site) == ("token", 400, "unauthorized_client")


def test_too_often(open_site: Callable[..., Site], sqlite: Database) -> None:
    site = open_site(sqlite)
    site.server.oauth.rate._per_minute = 3
    answers = [site.refresh("guess", client_id="x") for _ in range(4)]
    assert [one.status_code for one in answers] == [400, 400, 400, 429]
    assert 0 < int(answers[3].headers["Retry-After"]) <= 60
    assert last(site) == ("refresh", 429, "too often")
    assert site.refresh("guess", client_id="another").status_code == 400
    site.clock.pass_seconds(60)
    assert site.refresh("guess", client_id="x").status_code == 400


def test_nothing_secret_is_kept_in_clear(site: Site) -> None:
    code = site.code()
    token = site.token(code).json
    secrets = (code, token["access_token"], token["refresh_token"], token["id_token"])
    tables = ("oauth_code", "oauth_refresh", "oauth_token", "oauth_authorization")
    with site.server.database.read() as connection:
        rows = [str(connection.exec_driver_sql(f"SELECT * FROM {one}").all()) for one in tables]
    journal = str(site.events())
    assert all(one not in text for one in secrets for text in (*rows, journal))
