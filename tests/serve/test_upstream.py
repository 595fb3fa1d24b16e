"""Sign-in at a real OpenID provider, and every way in which its answer can be wrong."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from joserfc import jwk, jwt
from werkzeug.test import TestResponse

from gateway.config import Settings
from gateway.store.database import Database, now_micros
from gateway.store.people import Person, Role, deactivate_person, list_people
from tests.oauth import provider as upstream
from tests.oauth.provider import CLIENT, OBJECT, TENANT, OpenIdProvider, parameters
from tests.serve.site import Browser, Site, csrf, open_site

BASE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def shared() -> Iterator[OpenIdProvider]:
    with (
        pytest.MonkeyPatch.context() as patch,
        upstream.running(f"{BASE}/sign-in/callback") as running,
    ):
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # loopback, this side of the test only
        yield running


@pytest.fixture
def provider(shared: OpenIdProvider) -> OpenIdProvider:
    """The provider, honest again."""
    honest = OpenIdProvider(shared.issuer, shared.redirect_uri, key=shared.key)
    vars(shared).update(vars(honest))
    return shared


@pytest.fixture
def settings(provider: OpenIdProvider, tmp_path: Path) -> Settings:
    secret = tmp_path / "secret"
    secret.write_text(f"{upstream.SECRET}\n")
    return Settings(
        data=tmp_path, sign_in_issuer=provider.issuer, sign_in_client_id=CLIENT,
        sign_in_client_secret_file=secret, sign_in_tenant=TENANT, sign_in_require=("mfa",),
        sign_in_roles=("Genomics.Clinician=clinician/S08000020/genetics",),
    )  # fmt: skip


@pytest.fixture
def site(sqlite: Database, settings: Settings) -> Iterator[Site]:
    opened = open_site(sqlite, settings)
    yield opened
    opened.server.journal.close()


def go(browser: Browser, target: str = "/account") -> str:
    """Go to the provider, sign in there, and return where it sends the browser."""
    there = browser.get("/sign-in/upstream", query_string={"next": target})
    assert there.status_code == 303, there.text
    back = requests.get(there.headers["Location"], allow_redirects=False, timeout=5)
    assert back.status_code == 302, back.text
    return back.headers["Location"]


def come_back(browser: Browser, url: str) -> TestResponse:
    parts = urlsplit(url)
    assert url.startswith(BASE)
    return browser.get(f"{parts.path}?{parts.query}")


def people(site: Site) -> list[Person]:
    with site.server.database.read() as connection:
        return list_people(connection)


def refusal(site: Site, answer: TestResponse) -> str:
    """Return the reason in the journal of an answer that signed nobody in."""
    assert answer.status_code == 403
    assert "gateway-session" not in str(answer.headers.getlist("Set-Cookie"))
    interaction, status, reason = site.told()[-1]
    assert (interaction, status) == ("sign-in", 403)
    return reason


def test_a_person_is_known_by_tenant_and_object_and_has_the_mapped_role(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    answer = come_back(browser, go(browser, "/account?done=x"))
    assert answer.status_code == 303, site.told()
    assert answer.headers["Location"] == "/account?done=x"
    (person,) = people(site)
    assert (person.issuer, person.subject) == (provider.issuer, f"{TENANT}/{OBJECT}")
    assert person.roles == (Role("clinician", "S08000020", "genetics"),)
    assert "Dr Eilidh Example" in browser.get("/account").text
    assert site.told() == [("sign-in", 200, "pwd+mfa")]


def test_the_request_carries_pkce_state_and_nonce_that_are_new_each_time(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    first, second = (
        parameters(browser.get("/sign-in/upstream").headers["Location"]) for _ in range(2)
    )
    assert first["code_challenge_method"] == "S256"
    assert first["scope"] == "openid profile"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]


def test_a_second_sign_in_keeps_the_person_and_follows_name_and_roles(
    site: Site, provider: OpenIdProvider
) -> None:
    for claims in ({}, {"name": "Dr E. Married", "roles": [], "sub": "another", "upn": "x@y"}):
        provider.claims = claims
        browser = site.browser()
        assert come_back(browser, go(browser)).status_code == 303
    (person,) = people(site)
    assert (person.name, person.roles) == ("Dr E. Married", ())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://elsewhere.example/v2.0"}, "wrong-token"),
        ({"aud": "another-client"}, "wrong-token"),
        ({"aud": [CLIENT, "another-client"]}, "wrong-token"),
        ({"azp": "another-client"}, "wrong-token"),
        ({"nonce": "another"}, "wrong-token"),
        ({"exp": 1}, "wrong-token"),
        ({"iat": "yesterday"}, "wrong-token"),
        ({"nbf": 4_000_000_000}, "wrong-token"),
        ({"tid": "55555555-0000-4000-8000-000000000000"}, "tenant"),
        ({"oid": ""}, "wrong-token"),
        ({"acct": 1}, "guest"),
        ({"idp": "https://sts.windows.net/another-tenant/"}, "guest"),
        ({"amr": ["pwd"]}, "methods"),
        ({"amr": "mfa"}, "wrong-token"),
    ],
)
def test_a_claim_that_is_wrong_signs_nobody_in(
    site: Site, provider: OpenIdProvider, claims: dict[str, Any], reason: str
) -> None:
    provider.claims = claims
    browser = site.browser()
    assert refusal(site, come_back(browser, go(browser))) == reason
    assert people(site) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nonce", "wrong-token"), ("exp", "wrong-token"), ("aud", "wrong-token"),
     ("sub", "wrong-token"), ("tid", "wrong-token"), ("oid", "wrong-token"), ("amr", "methods")],
)  # fmt: skip
def test_a_claim_that_is_missing_signs_nobody_in(
    site: Site, provider: OpenIdProvider, name: str, reason: str
) -> None:
    provider.without(name)
    browser = site.browser()
    assert refusal(site, come_back(browser, go(browser))) == reason


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _unsigned(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    header = json.dumps({"alg": "none", "kid": provider.key.kid})
    return f"{_part(header.encode())}.{_part(json.dumps(claims).encode())}."


def _confused(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    """HMAC, with the public key as if it were a shared secret."""
    header = json.dumps({"alg": "HS256", "kid": provider.key.kid})
    signed = f"{_part(header.encode())}.{_part(json.dumps(claims).encode())}"
    public = provider.key.as_pem(private=False)
    return f"{signed}.{_part(hmac.digest(public, signed.encode(), 'sha256'))}"


def _own_key(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    """A key of the attacker, in the header of the token."""
    own = jwk.RSAKey.generate_key(2048)
    header = {"alg": "RS256", "kid": provider.key.kid, "jwk": own.as_dict(private=False)}
    return jwt.encode(header, claims, own)


def _changed(provider: OpenIdProvider, claims: dict[str, Any]) -> str:
    """Claims of another person under the signature of these."""
    header = {"alg": "RS256", "kid": provider.key.kid}
    head, _, signature = jwt.encode(header, claims, provider.key).split(".")
    return f"{head}.{_part(json.dumps(claims | {'oid': 'another'}).encode())}.{signature}"


@pytest.mark.parametrize(
    "forge", [_unsigned, _confused, _own_key, _changed, lambda *_: "not a token"]
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    site: Site, provider: OpenIdProvider, forge: Callable[..., str]
) -> None:
    provider.forge = forge
    browser = site.browser()
    assert refusal(site, come_back(browser, go(browser))) == "wrong-token"


def test_another_state_and_no_state_are_refused(site: Site, provider: OpenIdProvider) -> None:
    for state in ("another", "", None):
        browser = site.browser()
        answer = parameters(go(browser)) | {"state": state}
        query = {name: value for name, value in answer.items() if value is not None}
        got = browser.get("/sign-in/callback", query_string=query)
        assert refusal(site, got) == "wrong-state"


def test_an_answer_in_another_browser_is_refused(site: Site, provider: OpenIdProvider) -> None:
    url = go(site.browser())
    assert refusal(site, come_back(site.browser(), url)) == "late"


def test_a_code_works_once(site: Site, provider: OpenIdProvider) -> None:
    browser = site.browser()
    url = go(browser)
    assert come_back(browser, url).status_code == 303
    assert refusal(site, come_back(browser, url)) == "late"
    code = parameters(url)["code"]
    again = parameters(go(browser)) | {"code": code}
    answer = browser.get("/sign-in/callback", query_string=again)
    assert refusal(site, answer) == "code-refused"


def test_a_code_of_another_sign_in_fails_by_its_verifier(
    site: Site, provider: OpenIdProvider
) -> None:
    stolen = parameters(go(site.browser()))["code"]
    browser = site.browser()
    answer = parameters(go(browser)) | {"code": stolen}
    assert refusal(site, browser.get("/sign-in/callback", query_string=answer)) == "code-refused"


def test_the_answer_of_another_provider_is_refused(site: Site, provider: OpenIdProvider) -> None:
    provider.answer_issuer = "https://elsewhere.example"
    browser = site.browser()
    assert refusal(site, come_back(browser, go(browser))) == "wrong-issuer"
    provider.answer_issuer = ""
    promised = parameters(go(browser))
    del promised["iss"]
    answer = browser.get("/sign-in/callback", query_string=promised)
    assert refusal(site, answer) == "wrong-issuer"


def test_what_takes_too_long_is_refused(site: Site, provider: OpenIdProvider) -> None:
    browser = site.browser()
    url = go(browser)
    site.clock.ahead += 11 * 60_000_000
    assert refusal(site, come_back(browser, url)) == "late"


def test_a_person_who_declines_there_is_not_signed_in_here(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    answer = parameters(go(browser)) | {"error": "access_denied"}
    got = browser.get("/sign-in/callback", query_string=answer)
    assert refusal(site, got) == "refused-upstream"
    assert "access_denied" not in got.text


def test_the_clocks_may_differ_by_a_minute(site: Site, provider: OpenIdProvider) -> None:
    now = now_micros() // 1_000_000
    for apart, status in ((-40, 303), (-90, 403)):
        provider.claims = {"exp": now + apart}
        browser = site.browser()
        assert come_back(browser, go(browser)).status_code == status


def test_a_key_that_is_new_is_fetched_once_a_minute_at_most(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    assert come_back(browser, go(browser)).status_code == 303
    provider.rotate()
    assert come_back(browser, go(browser)).status_code == 403
    site.clock.ahead += 50_000_000
    provider.claims = {"exp": now_micros() // 1_000_000 + 7200}
    site.clock.ahead += 11_000_000
    assert come_back(browser, go(browser)).status_code == 303
    provider.rotate(publish=False)
    for _ in range(3):
        assert refusal(site, come_back(browser, go(browser))) == "unknown-key"
    assert provider.calls.count("keys") == 2
    assert provider.calls.count("configuration") == 1


def test_a_guest_is_let_in_where_the_setting_says_so(
    sqlite: Database, settings: Settings, provider: OpenIdProvider
) -> None:
    site = open_site(sqlite, replace(settings, sign_in_guests=True))
    provider.claims = {"acct": 1, "idp": "https://sts.windows.net/another-tenant/"}
    browser = site.browser()
    assert come_back(browser, go(browser)).status_code == 303
    site.server.journal.close()


def test_without_a_tenant_people_are_known_by_sub_and_the_context_class_counts(
    sqlite: Database, settings: Settings, provider: OpenIdProvider
) -> None:
    other = replace(settings, sign_in_tenant="", sign_in_require=("urn:example:high",))
    site = open_site(sqlite, other)
    provider.claims = {"acr": "urn:example:high", "sub": "a-subject"}
    provider.without("tid", "oid", "amr")
    browser = site.browser()
    assert come_back(browser, go(browser)).status_code == 303
    assert [one.subject for one in people(site)] == ["a-subject"]
    site.server.journal.close()


def test_a_deactivated_person_is_signed_out_and_not_let_in(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    come_back(browser, go(browser))
    with site.server.database.write() as connection:
        deactivate_person(connection, people(site)[0].id, site.clock())
    assert browser.get("/account").status_code == 303
    assert refusal(site, come_back(browser, go(browser))) == "deactivated"


def test_signing_out_goes_on_to_the_provider_without_a_token_in_the_address(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    come_back(browser, go(browser))
    answer = browser.send("/account", "/sign-out", {})
    target = answer.headers["Refresh"].removeprefix("0; url=")
    assert target.startswith(f"{provider.issuer}/logout?")
    assert parameters(target) == {
        "client_id": CLIENT, "post_logout_redirect_uri": f"{BASE}/sign-in",
    }  # fmt: skip
    assert browser.get("/account").status_code == 303


def test_the_account_of_an_organisation_has_no_password_here(
    site: Site, provider: OpenIdProvider
) -> None:
    browser = site.browser()
    come_back(browser, go(browser))
    page = browser.get("/account")
    assert "Change your password" not in page.text
    assert browser.get("/account/authenticator").status_code == 404
    form = {"csrf": csrf(page), "password": "x", "new": "y", "again": "y"}
    assert browser.client.post("/account/password", data=form).status_code == 404


def test_a_provider_that_describes_another_or_insecure_one_is_refused(
    sqlite: Database, settings: Settings, provider: OpenIdProvider
) -> None:
    for metadata in (
        {"issuer": "https://elsewhere.example"},
        {"authorization_endpoint": "http://elsewhere.example/authorize"},
        {"authorization_endpoint": None},
    ):
        provider.metadata = metadata
        site = open_site(sqlite, settings)
        assert site.browser().get("/sign-in/upstream").status_code == 403
        site.server.journal.close()


def test_a_provider_that_cannot_be_reached_is_an_answer_and_no_failure(
    sqlite: Database, settings: Settings
) -> None:
    site = open_site(sqlite, replace(settings, sign_in_issuer="http://127.0.0.1:9/v2.0"))
    answer = site.browser().get("/sign-in/upstream")
    assert refusal(site, answer) == "unreachable"
    site.server.journal.close()
