"""Health: is the process alive, can it serve, and does a certificate end soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Blueprint, Response

from gateway.errors import InvalidSetting, StoreUnavailable
from gateway.store.database import Database
from gateway.store.schema import current
from gateway.wire.certificate import not_after

_SOON = timedelta(days=30)


def health_blueprint(database: Database, certificate: Path | None = None) -> Blueprint:
    """Make /health/live and /health/ready; `certificate` is that of MLLP over TLS."""
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    @blueprint.get("/live")
    def live() -> Response:
        return _answer("alive", 200)

    @blueprint.get("/ready")
    def ready() -> Response:
        try:
            if current(database):
                return _answer("ready" + _warning(certificate, datetime.now(UTC)), 200)
        except StoreUnavailable:
            return _answer("the database cannot be reached", 503)
        return _answer("the database needs `gateway db upgrade`", 503)

    return blueprint


def _warning(certificate: Path | None, now: datetime) -> str:
    """Return a line about a certificate that ends soon: the server is ready all the same."""
    if certificate is None:
        return ""
    try:
        end = not_after(certificate)
    except InvalidSetting as error:
        return f"\nwarning: tls_certificate: {error.text}"
    if end - now > _SOON:
        return ""
    verb = "ended" if end <= now else "ends"
    return f"\nwarning: tls_certificate {verb} at {end:%Y-%m-%dT%H:%M:%SZ}"


def _answer(text: str, status: int) -> Response:
    return Response(text + "\n", status, {"Cache-Control": "no-store"}, mimetype="text/plain")
