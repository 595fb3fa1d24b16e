"""The SMART JS client in a browser, at an origin of its own: both launches, CORS, refresh."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from playwright.sync_api import Page

from gateway.oauth.keys import client_assertion
from tests.browser.hospital import CHI, SMART_JS, Hospital
from tests.browser.visit import allow, check_fit, pick, sign_in
from tests.conftest import need


@pytest.fixture(scope="session", autouse=True)
def _smart_js() -> None:
    need("node", SMART_JS.exists())


def outcome(page: Page) -> dict[str, Any]:
    """Wait for what the app shows at the end."""
    page.wait_for_function("document.getElementById('outcome')?.textContent")
    shown: dict[str, Any] = json.loads(page.locator("#outcome").text_content() or "")
    return shown


def launch(hospital: Hospital, **context: Any) -> str:
    """Prepare a launch as an EHR does; return what its browser opens."""
    token_url, ehr = f"{hospital.base}/oauth/token", hospital.ehr
    signed = client_assertion(
        ehr["key"], ehr["client_id"], token_url, int(time.time()), uuid.uuid4().hex
    )
    form = {
        "grant_type": "client_credentials",
        "scope": "gateway/launch.write",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    bearer = requests.post(token_url, data=form, timeout=30).json()["access_token"]
    answer = requests.post(
        f"{hospital.base}/oauth/launch", json={"client_id": hospital.app_id, **context},
        headers={"Authorization": f"Bearer {bearer}"}, timeout=30,
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def check_read(hospital: Hospital, shown: dict[str, Any]) -> None:
    assert "error" not in shown, shown
    assert shown["patient"] == hospital.patient
    assert shown["family"] == "Testpatient"
    assert shown["user"] == f"Practitioner/{hospital.person}"
    assert shown["person"] == "Dr Isla Example"
    assert (shown["pages"], len(set(shown["reports"]))) == (2, 2)
    assert shown["rotated"]


def test_an_app_is_started_alone_and_the_person_picks_the_patient(
    hospital: Hospital, page: Page
) -> None:
    refreshes: list[dict[str, list[str]]] = []

    def note(request: Any) -> None:
        if request.url.endswith("/oauth/token") and request.method == "POST":
            refreshes.append(parse_qs(request.post_data))

    page.on("request", note)
    page.goto(f"{hospital.app}/index.html")
    page.wait_for_url(f"{hospital.base}/sign-in**")
    sign_in(page)
    pick(page)
    assert page.get_by_role("heading", name="Allow Genomics viewer?").is_visible()
    allow(page)
    check_read(hospital, outcome(page))
    exchange, refresh = refreshes
    assert exchange["grant_type"] == ["authorization_code"]
    assert refresh["grant_type"] == ["refresh_token"]
    assert "client_id" not in refresh


def test_an_ehr_starts_an_app_for_a_patient_and_nobody_is_asked_which(
    hospital: Hospital, page: Page
) -> None:
    order = {"reference": "ServiceRequest/invented", "role": "launch"}
    url = launch(hospital, patient=hospital.patient, person=hospital.person, intent="review",
                 need_patient_banner=False, fhirContext=[order])  # fmt: skip
    page.goto(url)
    page.wait_for_url(f"{hospital.base}/sign-in**")
    sign_in(page)
    assert page.get_by_role("heading", name="Allow Genomics viewer?").is_visible()
    allow(page)
    shown = outcome(page)
    check_read(hospital, shown)
    context = shown["context"]
    assert (context["intent"], context["need_patient_banner"]) == ("review", False)
    assert context["fhirContext"] == [order]
    page.goto(url)
    assert "The launch is unknown, used or too old." in outcome(page)["error"]


def test_a_person_refuses_and_the_app_is_told(hospital: Hospital, page: Page) -> None:
    page.goto(launch(hospital, patient=hospital.patient))
    page.wait_for_url(f"{hospital.base}/sign-in**")
    sign_in(page)
    page.get_by_role("button", name="Refuse").click()
    assert "access_denied" in outcome(page)["error"]


def test_the_pages_between_fit_a_phone_and_say_who_the_patient_is(
    hospital: Hospital, page: Page
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(f"{hospital.app}/index.html")
    page.wait_for_url(f"{hospital.base}/sign-in**")
    sign_in(page)
    check_fit(page)
    pick(page, "0101405073")  # exists, and this person has nothing to do with it
    assert page.title().startswith("Error: Which patient?")
    assert page.get_by_role("alert").is_visible()
    pick(page, f" {CHI[:6]} {CHI[6:]}")
    check_fit(page)
    banner = page.locator(".patient").inner_text().split("\n")
    assert [line for line in banner if line] == [
        "About this patient", "Morag Ailsa Testpatient", "Born", "01-Jan-1962", "CHI number", CHI,
    ]  # fmt: skip
