from __future__ import annotations

from pathlib import Path

from flask import Flask

from gateway.serve.health import health_blueprint
from gateway.store.database import Database


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
