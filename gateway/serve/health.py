"""Health: is the process alive, and can it serve."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from gateway.store.schema import current


def health_blueprint(database: Database) -> Blueprint:
    """Make /health/live and /health/ready."""
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    @blueprint.get("/live")
    def live() -> Response:
        return _answer("alive", 200)

    @blueprint.get("/ready")
    def ready() -> Response:
        try:
            if current(database):
                return _answer("ready", 200)
        except StoreUnavailable:
            return _answer("the database cannot be reached", 503)
        return _answer("the database needs `gateway db upgrade`", 503)

    return blueprint


def _answer(text: str, status: int) -> Response:
    return Response(text + "\n", status, {"Cache-Control": "no-store"}, mimetype="text/plain")
