"""One browser and one running gateway for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api

from tests.browser.hospital import Hospital, open_hospital
from tests.conftest import need

CHROMIUM = shutil.which("chromium") or ""


@pytest.fixture(scope="package")
def browser() -> Iterator[sync_api.Browser]:
    need("chromium", bool(CHROMIUM))
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said."""
    return []


@pytest.fixture
def page(browser: sync_api.Browser, complaints: list[str]) -> Iterator[sync_api.Page]:
    """A page of a new person's browser; the test fails where a policy of a page is broken."""
    context = browser.new_context()
    made = context.new_page()
    made.on("console", lambda message: complaints.append(message.text))
    yield made
    context.close()
    assert not [one for one in complaints if "Security Policy" in one or "CORS" in one]


@pytest.fixture(scope="package")
def hospital(sqlite_schema: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with open_hospital(tmp_path_factory.mktemp("hospital"), sqlite_schema) as opened:
        yield opened
