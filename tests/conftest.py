"""Fixtures for all tests. `TESTS_REQUIRE=postgres,strace` turns skips into failures."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.database import Database
from gateway.store.schema import upgrade
from tests import postgres

_numbers = itertools.count()


def need(name: str, present: bool) -> None:
    """Skip, or fail where the continuous integration says it must be there."""
    if not present:
        if name in os.environ.get("TESTS_REQUIRE", "").split(","):
            pytest.fail(f"{name} is required here and was not found")
        pytest.skip(f"{name} is not installed on this machine")


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    need("postgres", postgres.programs() is not None)
    with postgres.cluster(survives_power_loss=False) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gateway.db'}"
    running: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    return running.url(f"test_{os.getpid()}_{next(_numbers)}")


def _upgraded(url: str) -> str:
    opened = Database(url)
    upgrade(opened)
    opened.close()
    return url


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the current schema, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "gateway.db"
    _upgraded(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_schema(postgres_cluster: postgres.Cluster) -> str:
    """The name of a PostgreSQL database with the current schema, to be copied."""
    _upgraded(postgres_cluster.url("schema"))
    return "schema"


def _sqlite_copy(schema: Path, folder: Path) -> str:
    shutil.copy(schema, folder / "gateway.db")
    return f"sqlite:///{folder / 'gateway.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the current schema, once on each kind."""
    if request.param == "sqlite":
        url = _sqlite_copy(request.getfixturevalue("sqlite_schema"), tmp_path)
    else:
        running: postgres.Cluster = request.getfixturevalue("postgres_cluster")
        schema = request.getfixturevalue("postgres_schema")
        url = running.url(f"test_{os.getpid()}_{next(_numbers)}", schema)
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(sqlite_schema: Path, tmp_path: Path) -> Iterator[Database]:
    """A SQLite database with the current schema, where the kind does not matter."""
    opened = Database(_sqlite_copy(sqlite_schema, tmp_path))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands begin to log by their settings: no other test is to hear of it."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers = handlers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-expected", action="store_true", help="rewrite mappings' examples")
