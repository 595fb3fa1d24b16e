from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from joserfc import jwk, jwt
from werkzeug.test import TestResponse

from tests.oauth.site import BACK, Site

KEY = jwk.ECKey.generate_key("P-256")
OTHER = jwk.ECKey.generate_key("P-256")


def proof(
    site: Site, method: str, path: str, jti: str, key: jwk.ECKey = KEY, **more: Any
) -> dict[str, str]:
    token = more.pop("token", "")
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    header |= more.pop("header", {})
    claims = {"htm": method, "htu": f"{site.settings.base_url}{path}", "jti": jti,
              "iat": site.clock.seconds}  # fmt: skip
    if token:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    claims = {name: value for name, value in (claims | more).items() if value is not None}
    return {"DPoP": jwt.encode(header, claims, key, algorithms=["ES256"])}


def exchange(site: Site, code: str, **headers: str) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
            "code_verifier": "a-verifier-of-the-tests-with-more-than-43-characters",
            "client_id": site.app.id}  # fmt: skip
    return site.browser.post("/oauth/token", data=form, headers=headers)


def read(site: Site, token: str, scheme: str = "DPoP", **headers: str) -> int:
    headers |= {"Authorization": f"{scheme} {token}"}
    return site.browser.get("/fhir/Patient/alice", headers=headers).status_code


def test_a_bound_token_is_good_with_its_key_only(site: Site) -> None:
    answer = exchange(site, site.code(), **proof(site, "POST", "/oauth/token", "1")).json
    assert answer["token_type"] == "DPoP"
    token, path = answer["access_token"], "/fhir/Patient/alice"
    good = proof(site, "GET", path, "2", token=token)
    assert read(site, token, **good) == 200
    assert read(site, token, **good) == 401  # used
    assert read(site, token) == 401
    assert read(site, token, "Bearer") == 401
    assert read(site, token, "Bearer", **proof(site, "GET", path, "3", token=token)) == 401
    wrong: list[dict[str, Any]] = [
        {"key": OTHER}, {"method": "POST"}, {"path": "/fhir/Patient/bob"}, {"token": "another"},
        {"token": ""}, {"iat": site.clock.seconds - 120}, {"iat": site.clock.seconds + 120},
        {"iat": None}, {"jti": ""}, {"header": {"typ": "JWT"}},
        {"header": {"jwk": KEY.as_dict(private=True)}},
    ]  # fmt: skip
    for number, one in enumerate(wrong):
        given = {"method": "GET", "path": path, "jti": f"w{number}", "token": token} | one
        assert read(site, token, **proof(site, **given)) == 401, one
    found = site.browser.post("/oauth/introspect", data={"token": token, **site.assertion("i")})
    assert found.json["cnf"] == {"jkt": KEY.thumbprint()}


def test_a_token_of_nobodys_key_is_refused_as_bound(site: Site) -> None:
    token = site.token(site.code()).json["access_token"]
    good = proof(site, "GET", "/fhir/Patient/alice", "1", token=token)
    assert read(site, token, **good) == 401
    assert read(site, token, "Bearer") == 200


def test_a_client_that_always_binds_gets_nothing_without_a_proof(site: Site) -> None:
    site.app = site.register("public", redirect_uris=(BACK,), dpop=True)
    code = site.code()
    assert exchange(site, code).json["error"] == "invalid_dpop_proof"
    assert site.events()[-1]["detail"] == "invalid_dpop_proof"
    assert exchange(site, code, **proof(site, "POST", "/oauth/token", "1")).status_code == 200


def test_a_code_that_is_bound_to_a_key_needs_that_key(site: Site) -> None:
    code = site.code(dpop_jkt=KEY.thumbprint())
    wrong = proof(site, "POST", "/oauth/token", "1", OTHER)
    assert exchange(site, code, **wrong).json["error"] == "invalid_dpop_proof"
    right = proof(site, "POST", "/oauth/token", "2")
    assert exchange(site, code, **right).status_code == 200


def test_a_public_clients_refresh_token_is_bound_to_the_first_key(site: Site) -> None:
    first = exchange(site, site.code(), **proof(site, "POST", "/oauth/token", "1")).json
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    def refresh(**headers: str) -> TestResponse:
        return site.browser.post("/oauth/token", data=form, headers=headers)

    assert refresh().json["error"] == "invalid_dpop_proof"
    other = proof(site, "POST", "/oauth/token", "2", OTHER)
    assert refresh(**other).json["error"] == "invalid_dpop_proof"
    assert refresh(**proof(site, "POST", "/oauth/token", "3")).json["token_type"] == "DPoP"


@pytest.mark.parametrize("text", ["rubbish", "a.b.c", ""])
def test_what_is_no_proof(site: Site, text: str) -> None:
    answer = exchange(site, site.code(), DPoP=text)
    assert answer.json["error"] == "invalid_dpop_proof"
