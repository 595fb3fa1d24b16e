"""A person's own account: password and authenticator, each change asked for twice and told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from gateway.config import Settings
from gateway.store.database import Database
from tests.serve.site import MINUTE, PASSWORD, Browser, Site, csrf, open_site

NEW = "copper lantern 7 fjord"


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Iterator[Site]:
    opened = open_site(sqlite, Settings(data=tmp_path))
    opened.add()
    yield opened
    opened.server.journal.close()


@pytest.fixture
def browser(site: Site) -> Browser:
    made = site.browser()
    made.sign_in()
    return made


def change(browser: Browser, password: str, new: str, again: str | None = None) -> tuple[int, str]:
    form = {"password": password, "new": new, "again": new if again is None else again}
    answer = browser.send("/account", "/account/password", form)
    found = re.search(r'role="alert"><p>(.*?)</p>', answer.text)
    return answer.status_code, found[1] if found else ""


def pair(site: Site, browser: Browser, password: str = PASSWORD, steps: int = 0) -> int:
    page = browser.get("/account/authenticator").text
    found = re.search(r'class="key">([A-Z2-7 ]+)<', page)
    assert found
    secret = found[1].replace(" ", "")
    code = pyotp.TOTP(secret).at(site.clock() // 1_000_000 + 30 * steps)
    form = {"code": code, "password": password}
    answer = browser.send("/account/authenticator", "/account/authenticator", form)
    return answer.status_code


def test_a_new_password_counts_from_now_on_and_other_browsers_are_signed_out(
    site: Site, browser: Browser
) -> None:
    other = site.browser()
    other.sign_in()
    before = browser.client.get_cookie("gateway-session").value
    assert change(browser, PASSWORD, NEW) == (303, "")
    assert browser.client.get_cookie("gateway-session").value != before
    assert browser.get("/account?done=password").status_code == 200
    assert other.get("/account").status_code == 303
    assert site.browser().sign_in(password=PASSWORD).status_code == 403
    assert site.browser().sign_in(password=NEW).status_code == 303
    assert ("operation:password", 200, "") in site.told()


def test_a_password_that_may_not_be_one_changes_nothing(site: Site, browser: Browser) -> None:
    wrong = {
        "The present password is not right.": ("not it at all", NEW, None),
        "The two new passwords are not the same.": (PASSWORD, NEW, "another"),
        "The new password must have 12 characters or more.": (PASSWORD, "short", None),
        "The new password is too easy to guess: use several words that belong to nothing.":
            (PASSWORD, "IslaExample1999", None),
    }  # fmt: skip
    for text, given in wrong.items():
        assert change(browser, *given)[1] == text
    assert site.browser().sign_in().status_code == 303
    assert ("operation:password", 403, "wrong-password") in site.told()


def test_the_present_password_cannot_be_guessed_here_either(browser: Browser) -> None:
    statuses = [change(browser, "a guess", NEW)[0] for _ in range(6)]
    assert statuses == [403] * 5 + [429]


def test_an_authenticator_is_set_up_once_it_has_shown_a_right_code(
    site: Site, browser: Browser
) -> None:
    assert pair(site, browser, steps=7) == 403
    assert pair(site, browser, password="not it at all") == 403
    assert site.browser().sign_in().headers["Location"] == "/account"
    assert pair(site, browser) == 303
    assert site.browser().sign_in().headers["Location"] == "/sign-in/code"
    assert "Set up another phone" in browser.get("/account").text
    assert ("operation:authenticator", 200, "") in site.told()


def test_the_page_shows_the_same_secret_until_it_is_confirmed_or_late(
    site: Site, browser: Browser
) -> None:
    first, second = (browser.get("/account/authenticator").text for _ in range(2))
    assert re.search(r'class="qr"', first)
    key = re.compile(r'class="key">([A-Z2-7 ]+)<')
    assert key.search(first)[1] == key.search(second)[1]  # type: ignore[index]
    site.clock.ahead += 16 * MINUTE
    third = browser.get("/account/authenticator").text
    assert key.search(first)[1] != key.search(third)[1]  # type: ignore[index]


def test_an_authenticator_is_removed_with_the_password_only(site: Site, browser: Browser) -> None:
    pair(site, browser)
    for password, status in (("not it at all", 403), (PASSWORD, 303)):
        form = {"password": password}
        answer = browser.send("/account", "/account/authenticator/remove", form)
        assert answer.status_code == status
    assert site.browser().sign_in().headers["Location"] == "/account"


def test_every_change_needs_the_token_of_a_page(browser: Browser) -> None:
    token = csrf(browser.get("/account"))
    for path in ("/account/password", "/account/authenticator", "/account/authenticator/remove"):
        for given in ({}, {"csrf": token[::-1]}):
            answer = browser.client.post(path, data={"password": PASSWORD, **given})
            assert answer.status_code == 403
            assert "out of date" in answer.text
