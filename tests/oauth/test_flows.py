"""Launches as apps do them, from the first redirect to the last refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from joserfc import jwk, jwt

from gateway.oauth.keyring import Keyring
from gateway.store.clients import ASYMMETRIC, SYMMETRIC, deactivate_client
from gateway.store.database import Database
from tests.oauth.site import BACK, KEY, MORAG, SCOPE, Site, held, sent, ticked


def test_a_standalone_launch_gives_what_smart_promises(site: Site) -> None:
    page = site.pick(site.authorize())
    assert "Growth chart" in page.text
    assert "NHS Example" in page.text
    assert "https://app.example" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    back = sent(site.decide(page))
    assert back["state"] == "a state & more"
    assert back["iss"] == site.settings.base_url
    answer = site.token(back["code"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    token = answer.json
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] <= 600
    assert token["patient"] == "alice"
    assert token["need_patient_banner"] is True
    assert set(token["scope"].split()) == set(SCOPE.removeprefix("launch ").split())
    assert token["refresh_token"]
    assert site.read(token["access_token"]).json["id"] == "alice"


def test_the_id_token_is_signed_with_a_published_key_and_names_a_practitioner(site: Site) -> None:
    token = site.token(site.code()).json
    keys = jwk.KeySet.import_key_set(site.browser.get("/oauth/jwks").json)
    assert len(keys.keys) >= 2
    found = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    assert found.header["kid"] == keys.keys[0].kid
    claims = found.claims
    assert (claims["iss"], claims["aud"]) == (site.settings.base_url, site.app.id)
    assert (claims["sub"], claims["nonce"]) == (MORAG.id, "a nonce")
    assert claims["auth_time"] == site.clock.seconds - 5
    assert claims["amr"] == ["pwd", "otp"]
    practitioner = claims["fhirUser"].removeprefix(site.settings.fhir_base + "/")
    read = site.read(token["access_token"], practitioner).json
    assert read["name"] == [{"text": "Morag Clinician"}]
    userinfo = site.browser.get("/oauth/userinfo", headers=held(token["access_token"]))
    assert userinfo.json == {"sub": MORAG.id, "fhirUser": claims["fhirUser"]}


def test_an_ehr_launch_carries_its_context_to_the_app(site: Site) -> None:
    about = [{"reference": "DiagnosticReport/a1"}]
    handle = site.launch(patient="alice", encounter="e1", intent="order", fhirContext=about,
                         need_patient_banner=False, person=MORAG.id)  # fmt: skip
    asked = {"scope": "launch patient/*.rs", "launch": handle}
    page = site.authorize(**asked)
    token = site.token(sent(site.decide(page))["code"]).json
    names = ("patient", "encounter", "intent", "fhirContext", "need_patient_banner")
    context = {name: token[name] for name in names}
    assert context == {"patient": "alice", "encounter": "e1", "intent": "order",
                       "fhirContext": about, "need_patient_banner": False}  # fmt: skip
    assert "refresh_token" not in token
    assert "id_token" not in token
    assert sent(site.authorize(**asked))["error"] == "invalid_request"  # used once
    assert sent(site.decide(page))["error"] == "invalid_request"


def test_a_launch_is_for_its_app_its_person_and_five_minutes(site: Site) -> None:
    other = site.register("public", redirect_uris=(BACK,))
    handle = site.launch(patient="alice", person="somebody-else")
    asked = {"scope": "launch patient/*.rs", "launch": handle}
    assert sent(site.authorize(**asked))["error"] == "access_denied"
    assert sent(site.authorize(**asked, client_id=other.id))["error"] == "invalid_request"
    asked["launch"] = site.launch(patient="nobody-at-all")
    assert sent(site.authorize(**asked))["error"] == "access_denied"
    asked["launch"] = site.launch(patient="alice")
    site.clock.pass_seconds(301)
    assert sent(site.authorize(**asked))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "unknown"},
        {"patient": "no id/"},
        {"fhirContext": ["DiagnosticReport/a1"]},
        {"fhirContext": [{"role": "alone"}]},
        {"need_patient_banner": "yes"},
        {"intent": "<b>"},
        {"surprise": 1},
    ],
)
def test_a_launch_is_checked_before_it_is_kept(site: Site, wrong: dict[str, object]) -> None:
    bearer = held(site.backend_token("gateway/launch.write"))
    body = {"client_id": site.app.id, **wrong}
    answer = site.browser.post("/oauth/launch", json=body, headers=bearer)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_only_an_ehr_makes_launches(site: Site) -> None:
    reader = held(site.backend_token("system/*.rs"))
    body = {"client_id": site.app.id}
    assert site.browser.post("/oauth/launch", json=body, headers=reader).status_code == 403
    assert site.browser.post("/oauth/launch", json=body).status_code == 401


def test_what_is_unticked_is_not_granted(site: Site) -> None:
    page = site.pick(site.authorize())
    assert "user/DiagnosticReport.rs" in ticked(page)
    left_out = ("user/DiagnosticReport.rs", "offline_access")
    kept = [one for one in ticked(page) if one not in left_out]
    token = site.token(sent(site.decide(page, [*kept, "system/*.rs", "launch"]))["code"]).json
    assert set(token["scope"].split()) == {"launch/patient", "openid", "fhirUser", "patient/*.rs"}
    assert "refresh_token" not in token


def test_a_person_may_refuse(site: Site) -> None:
    page = site.pick(site.authorize())
    assert sent(site.decide(page, decision="refuse"))["error"] == "access_denied"
    assert sent(site.decide(page, []))["error"] == "access_denied"


def test_a_patient_nobody_knows_is_not_chosen(site: Site) -> None:
    page = site.authorize()
    missed = site.pick(page, "0101625700")
    assert "<title>Error: Which patient?" in missed.text
    assert "whom you may see" in missed.text
    assert "whom you may see" in site.pick(page, "Robert'); --").text
    assert site.decide(page).status_code == 400


def test_a_stranger_is_sent_to_sign_in_and_a_post_becomes_a_get(site: Site) -> None:
    posted = site.browser.post("/oauth/authorize", data=site.asking())
    assert posted.status_code == 303
    assert posted.headers["Location"].startswith(f"{site.settings.base_url}/oauth/authorize?")
    site.person = replace(MORAG, active=False)
    sign_in = site.authorize().headers["Location"]
    assert sign_in.startswith("/sign-in?next=%2Foauth%2Fauthorize%3Fresponse_type%3Dcode")


@pytest.mark.parametrize("online", [False, True])
def test_a_refresh_token_gives_the_next_without_naming_the_client(site: Site, online: bool) -> None:
    scope = "launch/patient patient/*.rs " + ("online_access" if online else "offline_access")
    first = site.token(site.code(scope=scope)).json
    site.clock.pass_seconds(3600)
    assert site.read(first["access_token"]).status_code == 401
    second = site.refresh(first["refresh_token"]).json
    assert second["patient"] == "alice"
    assert second["scope"] == first["scope"]
    assert second["refresh_token"] != first["refresh_token"]
    assert site.read(second["access_token"]).status_code == 200
    site.clock.pass_seconds(12 * 3600 if online else 30 * 86_400)
    assert site.refresh(second["refresh_token"]).json["error"] == "invalid_grant"


def test_a_refresh_may_ask_for_less_and_the_next_has_all_again(site: Site) -> None:
    first = site.token(site.code()).json
    less = site.refresh(first["refresh_token"], scope="patient/Patient.r").json
    assert less["scope"] == "patient/Patient.r"
    assert site.refresh(less["refresh_token"]).json["scope"] == first["scope"]


def test_confidential_clients_launch_with_secret_or_key(site: Site) -> None:
    keyed = site.register(ASYMMETRIC, redirect_uris=(BACK,), jwks={"keys": [KEY[1]]})
    code = site.code(client_id=keyed.id)
    assert site.token(code, client_id=keyed.id).json["error"] == "invalid_client"
    assert site.token(code, client_id=keyed.id, **site.assertion("k", keyed)).status_code == 200
    secret = site.register(SYMMETRIC, redirect_uris=(BACK,))
    code = site.code(client_id=secret.id)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
            "code_verifier": "a-verifier-of-the-tests-with-more-than-43-characters"}  # fmt: skip
    wrong = site.browser.post("/oauth/token", data=form, auth=(secret.id, "wrong"))
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    assert "WWW-Authenticate" in wrong.headers
    right = site.browser.post("/oauth/token", data=form, auth=(secret.id, site.secret))
    assert right.status_code == 200
    with site.server.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM oauth_client").all()
    assert site.secret not in str(rows)


def test_introspection_says_what_a_token_is_good_for(site: Site) -> None:
    token = site.token(site.code()).json
    asked = {"token": token["access_token"], **site.assertion("i")}
    found = site.browser.post("/oauth/introspect", data=asked).json
    assert found["active"] is True
    assert (found["client_id"], found["scope"]) == (site.app.id, token["scope"])
    assert (found["patient"], found["sub"]) == ("alice", MORAG.id)
    assert found["fhirUser"].endswith(MORAG.id)
    assert found["exp"] == site.clock.seconds + 600
    mine = held(site.backend_token("system/*.rs"))
    form = {"token": token["refresh_token"]}
    assert site.browser.post("/oauth/introspect", data=form, headers=mine).json["active"] is True
    form = {"token": "rubbish"}
    answer = site.browser.post("/oauth/introspect", data=form, headers=mine)
    assert answer.json == {"active": False}
    assert site.browser.post("/oauth/introspect", data=form).status_code == 400
    public = {"token": "rubbish", "client_id": site.app.id}
    assert site.browser.post("/oauth/introspect", data=public).json["error"] == "invalid_client"


def test_revoking_a_refresh_token_ends_the_family_and_an_access_token_itself(site: Site) -> None:
    first, second = site.token(site.code()).json, site.token(site.code()).json
    for token in (first["access_token"], second["refresh_token"], "unknown"):
        form = {"token": token, "client_id": site.app.id}
        assert site.browser.post("/oauth/revoke", data=form).status_code == 200
    assert site.read(first["access_token"]).status_code == 401
    assert site.read(second["access_token"]).status_code == 401
    assert site.refresh(second["refresh_token"]).json["error"] == "invalid_grant"
    assert site.refresh(first["refresh_token"]).status_code == 200
    other = site.register("public", redirect_uris=(BACK,))
    third = site.token(site.code()).json["access_token"]
    form = {"token": third, "client_id": other.id}
    assert site.browser.post("/oauth/revoke", data=form).json["error"] == "invalid_grant"
    assert site.read(third).status_code == 200


def test_who_may_no_longer_sign_in_has_no_way_in_by_an_app(site: Site) -> None:
    token = site.token(site.code()).json
    site.person = replace(MORAG, active=False)
    assert site.read(token["access_token"]).status_code == 401
    assert site.refresh(token["refresh_token"]).json["error"] == "invalid_grant"


def test_a_revoked_client_takes_what_people_allowed_it_along(site: Site) -> None:
    token = site.token(site.code()).json
    assert site.read(token["access_token"]).status_code == 200
    with site.server.database.write() as connection:
        deactivate_client(connection, site.app.id, site.clock())
    site.clock.pass_seconds(1)
    assert site.read(token["access_token"]).status_code == 401
    assert site.refresh(token["refresh_token"]).json["error"] == "invalid_client"
    assert site.authorize().status_code == 400


def test_registration_follows_the_policy(open_site: Callable[..., Site], sqlite: Database) -> None:
    site = open_site(sqlite)
    body = {"client_name": "An app", "redirect_uris": [BACK], "token_endpoint_auth_method": "none"}
    assert site.browser.post("/oauth/register", json=body).status_code == 404


def test_a_registered_client_gets_no_more_than_the_allowance(
    open_site: Callable[..., Site], sqlite: Database
) -> None:
    site = open_site(sqlite, registration="token", registration_scope="openid patient/Patient.rs")
    body = {"client_name": "An app", "redirect_uris": [BACK],
            "scope": "openid patient/*.cruds system/*.rs gateway/launch.write"}  # fmt: skip
    assert site.browser.post("/oauth/register", json=body).status_code == 401
    reader = held(site.backend_token("system/*.rs"))
    assert site.browser.post("/oauth/register", json=body, headers=reader).status_code == 403
    initial = held(site.backend_token("gateway/client.register"))
    made = site.browser.post("/oauth/register", json=body, headers=initial)
    assert made.status_code == 201
    assert made.json["scope"] == "openid patient/Patient.rs"
    assert made.json["grant_types"] == ["authorization_code", "refresh_token"]
    assert made.json["client_secret"]
    for wrong in (
        {"redirect_uris": []}, {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["https://app.example/*"]}, {"redirect_uris": ["http://app.example/"]},
        {"redirect_uris": ["https://me@app.example/"]}, {"redirect_uris": [BACK + "#x"]},
    ):  # fmt: skip
        refused = site.browser.post("/oauth/register", json=body | wrong, headers=initial)
        assert refused.json["error"] == "invalid_redirect_uri"
    for wrong in (
        {"grant_types": ["client_credentials"]}, {"scope": "system/*.rs"}, {"client_name": 7},
        {"response_types": ["token"]}, {"jwks": {"keys": []}},
        {"token_endpoint_auth_method": "client_secret_post"},
    ):  # fmt: skip
        refused = site.browser.post("/oauth/register", json=body | wrong, headers=initial)
        assert refused.json["error"] == "invalid_client_metadata", wrong


def test_rotation_keeps_the_old_key_published(site: Site) -> None:
    keyring = Keyring(site.settings.data / "keys")
    signed, before = keyring.sign({"sub": "a"}), keyring.kids()
    Keyring(site.settings.data / "keys").rotate()  # as another process
    after = keyring.kids()
    assert (after[0], after[2]) == (before[1], before[0])
    assert len(set(after)) == 3
    keys = jwk.KeySet.import_key_set(keyring.public_keys())
    assert jwt.decode(signed, keys, algorithms=["RS256"]).claims == {"sub": "a"}
    assert all(not key.is_private for key in keys.keys)


def test_every_step_is_in_the_audit_journal(site: Site) -> None:
    handle = site.launch(patient="alice")
    code = site.code(scope="launch patient/*.rs offline_access openid", launch=handle)
    token = site.token(code).json
    fresh = site.refresh(token["refresh_token"]).json
    form = {"token": fresh["access_token"], "client_id": site.app.id}
    site.browser.post("/oauth/revoke", data=form)
    told = [(one["interaction"], one["status"], one.get("patient", "")) for one in site.events()]
    assert told == [
        ("token", 200, ""), ("launch", 201, "alice"), ("authorize", 303, "alice"),
        ("token", 200, "alice"), ("refresh", 200, "alice"), ("revoke", 200, ""),
    ]  # fmt: skip
    people_told = [one.get("person", "") for one in site.events()]
    assert people_told == ["", "", MORAG.id, MORAG.id, MORAG.id, ""]
