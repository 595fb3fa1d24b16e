"""Local accounts at the pages: sign-in, code, sign-out, and what keeps strangers out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select

from gateway.config import Settings
from gateway.serve.session import local_target, visit_csrf
from gateway.store.database import Database
from gateway.store.people import deactivate_person
from gateway.store.tables import local_account, sign_in_step, web_session
from tests.serve.site import MINUTE, PASSWORD, Browser, Site, csrf, open_site

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Iterator[Site]:
    opened = open_site(sqlite, Settings(data=tmp_path))
    opened.add()
    yield opened
    opened.server.journal.close()


def code(site: Site, steps: int = 0) -> str:
    return pyotp.TOTP(SECRET).at(site.clock() // 1_000_000 + 30 * steps)


def with_authenticator(site: Site) -> None:
    """Add a person with an authenticator; the code of this step is used up by that."""
    person = site.add("totp", "Totp Example")
    with site.server.database.write() as connection:
        site.server.accounts.set_authenticator(connection, person, SECRET, code(site))


def cookies(answer: object) -> list[str]:
    return answer.headers.getlist("Set-Cookie")  # type: ignore[attr-defined]


def test_name_and_password_sign_in_and_the_target_is_kept(site: Site) -> None:
    browser = site.browser()
    away = browser.get("/account?a=b")
    assert away.headers["Location"] == "/sign-in?next=%2Faccount%3Fa%3Db"
    form = {"name": " ISLA ", "password": PASSWORD, "next": "/account?a=b"}
    answer = browser.send(away.headers["Location"], "/sign-in", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?a=b")
    page = browser.get("/account").text
    assert "Dr Isla Example" in page
    assert "S08000020" in page
    assert browser.get("/sign-in?next=/account").status_code == 303
    assert site.told() == [("sign-in", 200, "pwd")]


def test_a_stranger_learns_the_same_whether_the_account_exists_or_not(site: Site) -> None:
    pages = []
    for name in ("isla", "nobody"):
        answer = site.browser().sign_in(name, "not the password")
        assert answer.status_code == 403
        pages.append(re.sub(r'value="[^"]*"', "", answer.text))
    assert pages[0] == pages[1]
    assert site.told() == [("sign-in", 403, "wrong-password"), ("sign-in", 403, "unknown-account")]


def test_nothing_that_was_typed_is_in_the_journal(site: Site) -> None:
    site.browser().sign_in("my-password-in-the-wrong-field", "another secret")
    written = b"".join(one.read_bytes() for one in site.server.settings.data.glob("audit/*"))
    assert b"wrong-field" not in written
    assert b"another secret" not in written
    assert b"127.0.0.1" in written


def test_a_deactivated_account_is_refused_like_a_wrong_password(site: Site) -> None:
    other = site.add("morag", "Morag Example")
    signed_in = site.browser()
    signed_in.sign_in("morag")
    with site.server.database.write() as connection:
        deactivate_person(connection, other.id, site.clock())
    assert signed_in.get("/account").status_code == 303
    answer = site.browser().sign_in("morag")
    assert (answer.status_code, "not right" in answer.text) == (403, True)
    assert site.told()[-1] == ("sign-in", 403, "deactivated")


def test_an_account_that_is_guessed_at_must_wait_and_then_may_go_on(site: Site) -> None:
    for _ in range(5):
        assert site.browser().sign_in(password="a wrong guess").status_code == 403
    refused = site.browser().sign_in()
    assert (refused.status_code, "too many attempts" in refused.text) == (429, True)
    assert site.browser().sign_in("nobody", "x").status_code == 403
    site.clock.ahead += MINUTE
    assert site.browser().sign_in().status_code == 303
    assert site.browser().sign_in(password="a wrong guess").status_code == 403


def test_an_address_that_tries_many_accounts_must_wait(sqlite: Database, tmp_path: Path) -> None:
    proxied = open_site(sqlite, Settings(data=tmp_path, trusted_proxies=("127.0.0.1/32",)))
    proxied.add()
    browser = proxied.browser()
    token = csrf(browser.get("/sign-in"))

    def status(name: str, address: str) -> int:
        form = {"csrf": token, "name": name, "password": "x"}
        headers = {"X-Forwarded-For": address}
        return browser.client.post("/sign-in", data=form, headers=headers).status_code

    guesses = [status(f"person-{number}", "192.0.2.1") for number in range(61)]
    assert guesses == [403] * 60 + [429]
    assert status("person-0", "198.51.100.7, 192.0.2.1") == 429
    assert status("person-0", "192.0.2.2") == 403
    proxied.server.journal.close()


def test_success_does_not_use_up_what_an_address_may_try(site: Site) -> None:
    for _ in range(3):
        site.browser().sign_in("nobody", "x")
        assert site.browser().sign_in().status_code == 303
    with site.server.database.read() as connection:
        counted = connection.exec_driver_sql("SELECT failures FROM sign_in_attempt").scalars()
        assert sorted(counted) == [3, 3]


def test_with_an_authenticator_the_password_alone_signs_nobody_in(site: Site) -> None:
    with_authenticator(site)
    browser = site.browser()
    answer = browser.sign_in("totp")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in/code")
    assert browser.get("/account").status_code == 303
    wrong = browser.send("/sign-in/code", "/sign-in/code", {"code": "000000"})
    assert (wrong.status_code, site.told()[-1][2]) == (403, "wrong-code")
    done = browser.send("/sign-in/code", "/sign-in/code", {"code": code(site, 1)})
    assert (done.status_code, done.headers["Location"]) == (303, "/account")
    assert site.told()[-1] == ("sign-in", 200, "pwd+otp+mfa")


def test_a_code_works_once_even_in_another_browser(site: Site) -> None:
    with_authenticator(site)
    codes = []
    for _ in range(2):
        browser = site.browser()
        browser.sign_in("totp")
        answer = browser.send("/sign-in/code", "/sign-in/code", {"code": code(site, 1)})
        codes.append(answer.status_code)
    assert codes == [303, 403]


def test_codes_cannot_be_guessed_by_asking_often(site: Site) -> None:
    with_authenticator(site)
    browser = site.browser()
    browser.sign_in("totp")
    token = csrf(browser.get("/sign-in/code"))
    form = {"csrf": token, "code": "000000"}
    statuses = [browser.client.post("/sign-in/code", data=form).status_code for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    again = site.browser().sign_in("totp")  # the right password does not start the count anew
    assert again.status_code == 429


def test_the_code_is_asked_only_after_the_password_and_for_ten_minutes(site: Site) -> None:
    with_authenticator(site)
    browser = site.browser()
    assert browser.get("/sign-in/code").headers["Location"] == "/sign-in"
    browser.sign_in("totp")
    token = csrf(browser.get("/sign-in/code"))
    site.clock.ahead += 11 * MINUTE
    late = browser.client.post("/sign-in/code", data={"csrf": token, "code": code(site)})
    assert (late.status_code, site.told()[-1][2]) == (403, "late")


def test_signing_in_begins_a_new_session_and_ends_the_old_one(site: Site) -> None:
    browser = site.browser()
    browser.client.set_cookie("gateway-session", "planted-by-somebody-else")
    browser.sign_in()
    first = browser.client.get_cookie("gateway-session").value
    assert first != "planted-by-somebody-else"
    thief = site.browser()
    thief.client.set_cookie("gateway-session", first)
    assert thief.get("/account").status_code == 200
    browser.send("/account", "/sign-out", {})
    assert thief.get("/account").status_code == 303


def test_the_store_holds_no_cookie_and_no_step_in_clear(site: Site) -> None:
    with_authenticator(site)
    browser = site.browser()
    browser.sign_in()
    cookie = browser.client.get_cookie("gateway-session").value
    site.browser().sign_in("totp")
    with site.server.database.read() as connection:
        sessions = connection.execute(select(web_session)).all()
        steps = connection.execute(select(sign_in_step.c.content)).scalars().all()
        sealed = connection.execute(select(local_account.c.totp)).scalars().all()
    assert len(sessions) == len(steps) == 1
    assert cookie not in str(sessions)
    assert b"person" not in steps[0]
    assert all(SECRET.encode() not in bytes(one) for one in sealed if one)


def test_a_session_ends_when_it_is_idle_and_when_it_is_old(site: Site) -> None:
    browser = site.browser()
    browser.sign_in()
    for _ in range(24):
        site.clock.ahead += 25 * MINUTE - 1_000_000
        if browser.get("/account").status_code != 200:
            break
    assert 590 * MINUTE < site.clock.ahead < 625 * MINUTE
    idle = site.browser()
    idle.sign_in()
    site.clock.ahead += 31 * MINUTE
    assert idle.get("/account").status_code == 303


def test_signing_out_needs_the_token_of_a_page_and_is_told(site: Site) -> None:
    browser = site.browser()
    browser.sign_in()
    assert browser.client.post("/sign-out").status_code == 403
    assert browser.client.post("/sign-out", data={"csrf": "0" * 64}).status_code == 403
    assert browser.get("/account").status_code == 200
    answer = browser.send("/account", "/sign-out", {})
    assert "You are signed out" in answer.text
    assert browser.get("/account").status_code == 303
    assert site.told()[-1] == ("sign-out", 200, "")


def test_a_form_from_elsewhere_signs_nobody_in(site: Site) -> None:
    form = {"name": "isla", "password": PASSWORD}
    assert site.browser().client.post("/sign-in", data=form).status_code == 403
    token = csrf(site.browser().get("/sign-in"))
    answer = site.browser().client.post("/sign-in", data=form | {"csrf": token})
    assert (answer.status_code, "out of date" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "target",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "\\\\e", "",
     "javascript:alert(1)", "account", "/a\nb", "/\t/elsewhere.example", "/" + "a" * 4000, "///e"],
)  # fmt: skip
def test_a_target_elsewhere_is_not_gone_to(target: str) -> None:
    assert local_target(target) == "/account"


def test_a_local_target_may_have_a_query() -> None:
    target = "/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
    assert local_target(target) == target


def test_a_sign_in_with_a_target_elsewhere_ends_here(site: Site) -> None:
    form = {"name": "isla", "password": PASSWORD, "next": "https://elsewhere.example/"}
    answer = site.browser().send("/sign-in?next=//elsewhere.example", "/sign-in", form)
    assert answer.headers["Location"] == "/account"


def _visit(browser: Browser) -> str:
    return browser.client.get_cookie("gateway-visit").value


def _headers(browser: Browser, path: str) -> dict[str, str]:
    with browser.get(path) as answer:
        return dict(answer.headers)


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/static/gateway.css"])
def test_every_page_says_what_browsers_may_do_with_it(site: Site, path: str) -> None:
    headers = _headers(site.browser(), path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert ("no-store" in headers["Cache-Control"]) == (not path.startswith("/static"))


def test_no_page_holds_script_or_style(site: Site) -> None:
    browser = site.browser()
    pages = [browser.get("/sign-in").text, browser.sign_in(password="x").text]
    browser.sign_in()
    pages += [browser.get(path).text for path in ("/account", "/account/authenticator")]
    for page in pages:
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)


def test_over_https_cookies_are_bound_to_the_host_and_browsers_told_to_stay_there(
    sqlite: Database, tmp_path: Path
) -> None:
    site = open_site(sqlite, Settings(data=tmp_path, base_url="https://gateway.example"))
    site.add()
    browser = site.browser()
    page = browser.client.get("/sign-in", base_url="https://gateway.example")
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    form = {"csrf": csrf(page), "name": "isla", "password": PASSWORD}
    answer = browser.client.post("/sign-in", data=form, base_url="https://gateway.example")
    (session,) = [one for one in cookies(answer) if one.startswith("__Host-gateway-session=")]
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in session.split("; ")
    assert "Domain" not in session
    site.server.journal.close()


def test_local_accounts_can_be_switched_off(sqlite: Database, tmp_path: Path) -> None:
    site = open_site(sqlite, Settings(data=tmp_path, sign_in_local=False))
    site.add()
    browser = site.browser()
    page = browser.get("/sign-in")
    assert 'name="password"' not in page.text
    assert "Nobody can sign in here yet" in page.text
    with site.app.test_request_context(headers={"Cookie": f"gateway-visit={_visit(browser)}"}):
        token = visit_csrf(site.server)
    form = {"csrf": token, "name": "isla", "password": PASSWORD}
    assert browser.client.post("/sign-in", data=form).status_code == 403
    assert site.told() == [("sign-in", 403, "no-local-accounts")]
    site.server.journal.close()


def test_an_error_page_tells_nothing_of_the_inside(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a detail of the inside")

    monkeypatch.setattr(type(site.server.accounts), "prove", fail)
    answer = site.browser().sign_in()
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert "LookupError" not in answer.text
    assert "Something went wrong" in answer.text


def test_a_form_that_is_too_long_and_a_wrong_method_are_pages_too(site: Site) -> None:
    long = site.browser().client.post("/sign-in", data={"name": "x" * 200_000})
    assert (long.status_code, "too long" in long.text) == (413, True)
    wrong = site.browser().client.get("/sign-out")
    assert wrong.status_code == 405


def test_what_is_asked_for_or_typed_is_escaped(site: Site) -> None:
    browser = site.browser()
    page = browser.get("/sign-in", query_string={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    answer = browser.sign_in('"><script>alert(1)</script>', "x")
    assert "<script>" not in answer.text


def test_when_the_journal_cannot_be_written_nobody_is_signed_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError

    browser = site.browser()
    browser.get("/sign-in")
    monkeypatch.setattr("gateway.store.audit.journal.os.write", fail)
    answer = browser.sign_in()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert browser.get("/account").status_code == 303
