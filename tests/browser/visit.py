"""What a person does on the pages of the gateway, between an app and the same app."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from tests.browser.hospital import CHI, PASSWORD


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("isla")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def pick(page: Page, number: str = CHI) -> None:
    page.get_by_label("CHI number").fill(number)
    page.get_by_role("button", name="Continue").click()


def allow(page: Page) -> None:
    page.get_by_role("button", name="Allow").click()


def go_through(page: Page, url: str, app: str) -> str:
    """Answer an authorization request, from sign-in to consent; return where the app is called."""
    page.goto(url)
    if page.title().startswith("Sign in"):
        sign_in(page)
    if page.title().startswith("Which patient"):
        pick(page)
    allow(page)
    page.wait_for_url(re.compile(re.escape(f"{app}/back")))
    return page.url


def check_fit(page: Page, width: int = 320) -> None:
    """Everything stands within a phone's width, and every field has a label with words."""
    for element in page.locator("main *:visible").all():
        box = element.bounding_box()
        assert box is None or box["x"] + box["width"] <= width, element.evaluate("e => e.outerHTML")
    for field in page.locator("input:visible").all():
        label = page.locator(f"label[for={field.get_attribute('id')}]")
        if label.count() == 0:
            label = field.locator("xpath=ancestor::label")
        assert re.search(r"\w", label.inner_text())
