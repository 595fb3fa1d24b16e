"""What is claimed is what works, and the three documents say the same."""

from __future__ import annotations

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.oauth.site import Site

DOCUMENTS = (
    "/fhir/.well-known/smart-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/fhir/.well-known/openid-configuration",
)


def test_the_documents_are_open_json_and_agree(site: Site) -> None:
    found = []
    for path in DOCUMENTS:
        answer = site.browser.get(path, headers={"Accept": "text/html"})
        assert answer.content_type == "application/json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        found.append(answer.json)
    smart, oauth, openid, _ = found
    assert all(oauth.items() <= one.items() for one in found)
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert openid["id_token_signing_alg_values_supported"] == ["RS256"]
    assert "registration_endpoint" not in oauth
    assert set(smart["capabilities"]) >= {"launch-ehr", "launch-standalone", "sso-openid-connect"}
    https = {name: str(value).replace("http://127.0.0.1:8000", "https://gateway.example")
             if isinstance(value, str) else value for name, value in openid.items()}  # fmt: skip
    AuthorizationServerMetadata(https).validate()
    OpenIDProviderMetadata(https).validate()


def test_every_endpoint_that_is_named_is_there(site: Site) -> None:
    openid = site.browser.get(DOCUMENTS[2]).json
    named = [url for name, url in openid.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(named) == 6
    for url in named:
        path = url.removeprefix(site.settings.base_url)
        assert site.browser.options(path).status_code == 200
    keys = site.browser.get("/oauth/jwks").json["keys"]
    assert {key["alg"] for key in keys} == {"RS256"}
    assert all(key.keys() & {"d", "p", "q"} == set() for key in keys)


def test_the_capability_statement_names_them_too(site: Site) -> None:
    document = site.browser.get("/fhir/metadata").json
    (uris,) = document["rest"][0]["security"]["extension"]
    named = {one["url"]: one["valueUri"] for one in uris["extension"]}
    openid = site.browser.get(DOCUMENTS[2]).json
    assert named["token"] == openid["token_endpoint"]
    assert named["authorize"] == openid["authorization_endpoint"]


def test_a_browser_of_another_origin_may_ask_for_tokens(site: Site) -> None:
    answer = site.browser.options("/oauth/token", headers={"Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "DPoP" in answer.headers["Access-Control-Allow-Headers"]
    page = site.authorize()
    assert "Access-Control-Allow-Origin" not in page.headers
