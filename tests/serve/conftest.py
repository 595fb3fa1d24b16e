"""A serving application on a database with two patients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.serving import make_server

from gateway.config import Settings
from gateway.identify.chi import ALIASES
from gateway.oauth.clients import register
from gateway.oauth.keys import new_key
from gateway.serve.fhir.views import fhir_blueprint
from gateway.serve.health import health_blueprint
from gateway.serve.server import Server, open_server
from gateway.serve.smart import smart_blueprint
from gateway.store.clients import Token, save_token, token_digest
from gateway.store.database import Database
from gateway.store.resources import NewVersion, save
from gateway.store.tables import file
from gateway.translate.mapping import Mappings, load_mappings
from tests.postgres import free_port
from tests.store.records import NOW, add_patient, add_report, report

PDF = b"%PDF-1.7 an invented report"
KEY = new_key("ES384")


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return load_mappings(Path(__file__).parents[2] / "mappings")


@pytest.fixture
def server(sqlite: Database, tmp_path: Path, mappings: Mappings) -> Iterator[Server]:
    settings = Settings(data=tmp_path, base_url=f"http://127.0.0.1:{free_port()}", page_size=2)
    opened = open_server(settings, sqlite, ALIASES, mappings=mappings)
    with sqlite.write() as connection:
        alice = add_patient(connection, "alice", "0101625707")
        bob = add_patient(connection, "bob", "0102625707")
        add_report(connection, "a1", "alice", alice)
        add_report(connection, "a2", "alice", alice)
        add_report(connection, "a3", "alice", alice)
        add_report(connection, "b1", "bob", bob)
        add_report(connection, "x1", "bob", bob)
        save(connection, [NewVersion("DiagnosticReport", "x1", {}, bob, deleted=True)], NOW)
        save(connection, [report("a1", "alice", alice, status="amended")], NOW + 1_000_000)
        digest = opened.files.keep(PDF)
        connection.execute(
            insert(file).values(
                digest=digest, size=len(PDF), media_type="application/pdf", created_at=0
            )
        )
        pdf = NewVersion(
            "Binary", "pdf", {"contentType": "application/pdf"}, alice, file_digest=digest
        )
        save(connection, [pdf], NOW)
    yield opened
    opened.journal.close()


@pytest.fixture
def app(server: Server) -> Flask:
    made = Flask("test")
    made.register_blueprint(smart_blueprint(server))
    made.register_blueprint(fhir_blueprint(server))
    made.register_blueprint(health_blueprint(server.database))
    return made


@pytest.fixture
def grant(server: Server) -> Callable[..., dict[str, str]]:
    """Make a token with a scope; returns the header that carries it."""

    def granted(scope: str = "system/*.rs", seconds: int = 300) -> dict[str, str]:
        client = register(server.database, "a test", "system/*.cruds", {"keys": [KEY[1]]}, NOW)
        now = server.clock()
        row = Token(client.id, scope, now, now + seconds * 1_000_000)
        with server.database.write() as connection:
            save_token(connection, token_digest(client.id), row)
        return {"Authorization": f"Bearer {client.id}"}

    return granted


@pytest.fixture
def client(app: Flask, grant: Callable[..., dict[str, str]]) -> FlaskClient:
    """A client that may read everything."""
    made = app.test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = grant()["Authorization"]
    return made


@pytest.fixture
def live(app: Flask, server: Server) -> Iterator[str]:
    """The same application on a socket; yields its base URL."""
    port = int(server.settings.base_url.rpartition(":")[2])
    running = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield server.settings.base_url
    running.shutdown()
    thread.join()
    running.server_close()


def journal_lines(server: Server) -> list[dict[str, Any]]:
    folder = server.settings.data / "audit"
    files = sorted(folder.glob("*.ndjson")) if folder.exists() else []
    lines = [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]
    return [line for line in lines if "segment" not in line]
