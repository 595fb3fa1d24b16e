"""The pages in a real browser: what a person does, without script, and that no policy is broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright import sync_api
from werkzeug.serving import make_server

from gateway.config import Settings
from gateway.store.database import Database
from tests.browser.visit import check_fit
from tests.postgres import free_port
from tests.serve.site import PASSWORD, Site, open_site

NEW = "copper lantern 7 fjord"


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    opened = open_site(sqlite, Settings(data=tmp_path, base_url=f"http://127.0.0.1:{port}"))
    opened.add()
    running = make_server("127.0.0.1", port, opened.app, threaded=True)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield opened
    running.shutdown()
    thread.join()
    running.server_close()
    opened.server.journal.close()


@pytest.fixture
def page(site: Site, browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    """A page of a browser that runs no script, and fails the test where a policy is broken."""
    context = browser.new_context(base_url=site.server.settings.base_url, java_script_enabled=False)
    made = context.new_page()
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text))
    yield made
    context.close()
    assert not [one for one in complaints if "Security Policy" in one]


def sign_in(page: sync_api.Page, password: str) -> None:
    page.get_by_label("Name").fill("isla")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_person_signs_in_sets_up_a_phone_changes_the_password_and_signs_out(
    site: Site, page: sync_api.Page
) -> None:
    page.goto("/account")
    sign_in(page, "not the password")
    assert page.get_by_role("alert").inner_text() == "The name or the password is not right."
    assert page.title().startswith("Error: ")
    sign_in(page, PASSWORD)
    assert page.get_by_role("heading", name="Dr Isla Example").is_visible()

    page.get_by_role("link", name="Set up an authenticator").click()
    assert page.locator("svg.qr").bounding_box()["width"] > 150
    secret = page.locator(".key").text_content().replace(" ", "")
    totp = pyotp.TOTP(secret)
    page.get_by_label("Six-digit code").fill(totp.at(time.time()))
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Finish").click()
    assert "Your authenticator is set up." in page.get_by_role("status").inner_text()

    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("heading", name="You are signed out").is_visible()
    page.goto("/account")
    sign_in(page, PASSWORD)
    page.get_by_label("Six-digit code").fill(totp.at(time.time() + 30))
    page.get_by_role("button", name="Continue").click()

    page.get_by_label("Present password").first.fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("New password, once more").fill(NEW)
    page.get_by_role("button", name="Change password").click()
    assert "Your password is changed." in page.get_by_role("status").inner_text()
    assert site.browser().sign_in(password=PASSWORD).status_code == 403


def test_an_address_that_is_nobodys_is_a_page_with_the_headers_of_pages(
    site: Site, page: sync_api.Page
) -> None:
    lost = page.goto("/account/nothing")
    assert lost
    assert lost.status == 404
    assert "default-src 'none'" in lost.headers["content-security-policy"]
    assert page.get_by_role("heading", name="There is no such page").is_visible()
    wrong = page.goto("/sign-out")  # such as a page that is loaded again
    assert wrong
    assert (wrong.status, {*wrong.headers["allow"].split(", ")}) == (405, {"POST", "OPTIONS"})
    assert page.get_by_role("heading", name="That did not work").is_visible()


def test_pages_fit_a_phone_and_every_field_has_a_label(site: Site, page: sync_api.Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto("/sign-in")
    check_fit(page)
    sign_in(page, PASSWORD)
    for path in ("/account", "/account/authenticator"):
        page.goto(path)
        check_fit(page)
