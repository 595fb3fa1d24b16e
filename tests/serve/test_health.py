from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from gateway.serve.health import health_blueprint
from gateway.store.database import Database
from tests.receive.certificates import SERVER, Authority


def test_a_server_on_a_current_database_is_ready(app: Flask) -> None:
    for path in ("/health/live", "/health/ready"):
        assert app.test_client().get(path).status_code == 200


def test_a_server_on_an_old_database_is_alive_and_not_ready(tmp_path: Path) -> None:
    made = Flask("test")
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    made.register_blueprint(health_blueprint(database))
    assert made.test_client().get("/health/live").status_code == 200
    assert made.test_client().get("/health/ready").status_code == 503
    database.close()


def test_a_server_without_its_database_is_not_ready(tmp_path: Path) -> None:
    made = Flask("test")
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    made.register_blueprint(health_blueprint(database))
    assert made.test_client().get("/health/ready").status_code == 503
    database.close()


def _ready(database: Database, certificate: Path) -> tuple[int, str]:
    made = Flask("test")
    made.register_blueprint(health_blueprint(database, certificate))
    reply = made.test_client().get("/health/ready")
    return reply.status_code, reply.text


@pytest.mark.parametrize(("days", "word"), [(40, ""), (29, "ends at"), (-1, "ended at")])
def test_a_certificate_that_ends_within_thirty_days_is_a_warning(
    sqlite: Database, tmp_path: Path, days: int, word: str
) -> None:
    issued = Authority(tmp_path).issue("gateway", purpose=SERVER, days=days)
    end = issued.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    status, text = _ready(sqlite, issued.files[0])
    assert (status, text.splitlines()[0]) == (200, "ready")
    assert text.splitlines()[1:] == ([f"warning: tls_certificate {word} {end}"] if word else [])


def test_a_certificate_that_cannot_be_read_is_a_warning(sqlite: Database, tmp_path: Path) -> None:
    status, text = _ready(sqlite, tmp_path / "absent.pem")
    assert (status, "warning: tls_certificate" in text) == (200, True)
