"""A sender asks what became of its messages: by control id, or all that changed since.

    GET /hl7/messages?control-id=X          what became of a message, newest first
    GET /hl7/notices?after=CURSOR&limit=N   what was filed, held or rejected since, in order

Only the caller's own source, and never content: reasons and places (`OBX[3]-5`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Blueprint, Response, request

from gateway.errors import GatewayError, InvalidRequest
from gateway.receive.http import refused
from gateway.source import Source
from gateway.store.database import Database
from gateway.store.notices import Became, Notice, Status, find_notices, find_statuses

_LIMIT, _LIMIT_MAX = 100, 1000


def status_blueprint(
    database: Database, authenticate: Callable[[], Source], clock: Callable[[], int]
) -> Blueprint:
    """Make both; `authenticate` returns the source or raises Unauthorized or Forbidden."""
    blueprint = Blueprint("status", __name__)

    @blueprint.get("/hl7/messages")
    def messages() -> Response:
        source = authenticate()
        control_id = request.args.get("control-id", "")
        if not control_id:
            raise InvalidRequest("say which message (MSH-10)", where="control-id")
        with database.read() as connection:
            found = find_statuses(connection, source.name, control_id)
        return _json([_status(one) for one in found])

    @blueprint.get("/hl7/notices")
    def notices() -> Response:
        source = authenticate()
        after, limit = request.args.get("after", ""), _limit(request.args.get("limit"))
        with database.read() as connection:
            page = find_notices(connection, source.name, after, limit, clock())
        told = [_notice(one) for one in page.notices]
        return _json({"notices": told, "after": page.after, "more": page.more})

    blueprint.register_error_handler(GatewayError, refused)
    return blueprint


def _limit(text: str | None) -> int:
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdecimal() and int(text[:10]) > 0 and len(text) <= 10):
        raise InvalidRequest("a number from 1 on", where="limit")
    return min(int(text), _LIMIT_MAX)


def _json(content: Any) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(orjson.dumps(content), 200, headers, mimetype="application/json")


def _status(one: Status) -> Mapping[str, Any]:
    return {
        **_message(one), "state": one.state, "reason": one.reason,
        "duplicate_of": one.duplicate_of,
        "parts": [_part(part) for part in one.parts],
    }  # fmt: skip


def _notice(one: Notice) -> Mapping[str, Any]:
    return {**_message(one), **_part(one.part)}


def _message(one: Status | Notice) -> dict[str, Any]:
    return {
        "key": one.key, "received_at": _instant(one.received_at), "control_id": one.control_id,
        "type": one.type, "answer": one.answer,
    }  # fmt: skip


def _part(one: Became) -> dict[str, Any]:
    return {
        "part": one.number, "state": one.state, "reason": one.reason, "places": one.places,
        "changed_at": _instant(one.changed_at),
    }  # fmt: skip


def _instant(micros: int) -> str:
    moment = datetime.fromtimestamp(micros / 1e6, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
