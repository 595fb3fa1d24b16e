from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.oauth.keyring import Keyring
from gateway.store.database import Database
from tests.oauth.site import Site


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys for all tests: making RSA keys is slow."""
    folder = tmp_path_factory.mktemp("keys")
    Keyring(folder).public_keys()
    return folder


@pytest.fixture
def open_site(
    tmp_path: Path, key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    opened: list[Site] = []

    def make(database: Database, **settings: Any) -> Site:
        opened.append(Site(database, tmp_path, key_folder, monkeypatch, **settings))
        return opened[-1]

    yield make
    for site in opened:
        site.server.journal.close()


@pytest.fixture
def site(open_site: Callable[..., Site], sqlite: Database) -> Site:
    return open_site(sqlite)
