"""What is good once is used by one of many who try at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.store.database import Database
from tests.oauth.site import Site, hidden, ticked

WORKERS = 8


def race(site: Site, attempt: Callable[[FlaskClient], TestResponse]) -> list[TestResponse]:
    start = threading.Barrier(WORKERS)
    browsers = [site.another_browser() for _ in range(WORKERS)]

    def run(browser: FlaskClient) -> TestResponse:
        start.wait()
        return attempt(browser)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, browsers))


def test_one_of_many_wins(open_site: Callable[..., Site], database: Database) -> None:
    site = open_site(database)
    code = site.code()
    answers = race(site, lambda browser: site.token(code, browser))
    assert sorted(one.status_code for one in answers) == [200] + [400] * (WORKERS - 1)
    # The code was used more than once: what the winner got has ended.
    won = next(one for one in answers if one.status_code == 200).json
    assert site.refresh(won["refresh_token"]).json["error"] == "invalid_grant"

    token = site.token(site.code()).json["refresh_token"]
    answers = race(site, lambda browser: site.refresh(token, browser))
    assert sorted(one.status_code for one in answers) == [200] + [400] * (WORKERS - 1)
    won = next(one for one in answers if one.status_code == 200).json
    assert site.refresh(won["refresh_token"]).json["error"] == "invalid_grant"

    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **site.assertion("race")}
    answers = race(site, lambda browser: browser.post("/oauth/token", data=form))
    assert sorted(one.status_code for one in answers) == [200] + [400] * (WORKERS - 1)

    page = site.authorize(scope="launch patient/*.rs", launch=site.launch(patient="alice"))
    form = {**hidden(page), "scope": ticked(page), "decision": "allow"}
    answers = race(site, lambda browser: browser.post("/oauth/authorize/decision", data=form))
    assert {one.status_code for one in answers} == {303}
    codes = [one for one in answers if "code=" in one.headers["Location"].partition("?")[2]
             and "error=" not in one.headers["Location"]]  # fmt: skip
    assert len(codes) == 1
