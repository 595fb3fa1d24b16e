"""One FHIR request: who asks, what for, and what the audit journal will say about it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Response, g, request, send_file
from werkzeug.http import http_date

from gateway.access.scopes import Access
from gateway.errors import InvalidRequest, NotFound, Unauthorized
from gateway.fhir.outcome import outcome
from gateway.oauth.bearer import token_name
from gateway.serve.caller import caller_access
from gateway.serve.fhir.bundle import history, searchset
from gateway.serve.fhir.formats import JSON, require_json, wants_fhir
from gateway.serve.server import Server
from gateway.store.audit import Event
from gateway.store.files import stored_size
from gateway.store.resources import Stored
from gateway.store.search import Page


@dataclass(slots=True)
class Visit:
    """A known client's request, kept in `flask.g` until the journal has it."""

    server: Server
    access: Access
    interaction: str
    target: str
    query: str = ""
    returned: list[str] = field(default_factory=list)
    token: str = ""

    def event(self, status: int) -> Event:
        """Return what the journal is to say."""
        return Event(
            time=self.server.clock(),
            client=self.access.client,
            interaction=self.interaction,
            target=self.target,
            status=status,
            query=self.query,
            returned=tuple(self.returned),
            address=request.remote_addr or "",
            token=self.token,
        )

    def ignored(self, names: tuple[str, ...]) -> dict[str, Any] | None:
        """Say which parameters were ignored; None when none was."""
        if not names:
            return None
        ignored = [InvalidRequest("was ignored: not supported", where=name) for name in names]
        return outcome(ignored, severity="warning")

    def json(self) -> None:
        """Raise NotAcceptable unless the client takes JSON."""
        require_json(*asked())

    def version(self, found: Stored) -> Response:
        """Answer with one version of a resource."""
        self.returned.append(f"{found.type}/{found.id}/_history/{found.version}")
        headers = {
            "ETag": f'W/"{found.version}"',
            "Last-Modified": http_date(found.updated_at // 1_000_000),
        }
        if _unchanged(headers["ETag"]):
            return Response(status=304, headers=headers)
        if found.type == "Binary":
            return self._binary(found, headers)
        self.json()
        return Response(found.body, 200, headers, content_type=JSON)

    def page(self, page: Page, outcome: dict[str, Any] | None) -> Response:
        """Answer with one page of a search."""
        self.returned += [f"{found.type}/{found.id}" for found in page.matches]
        self.returned += [f"{found.type}/{found.id}" for found in page.included]
        body = searchset(self.server.settings.fhir_base, page, outcome)
        return Response(body, 200, content_type=JSON)

    def versions(self, found: list[Stored]) -> Response:
        """Answer with the history of one resource."""
        self.returned += [f"{self.target}/_history/{version.version}" for version in found]
        base = self.server.settings.fhir_base
        return Response(
            history(base, f"{base}/{self.target}/_history", found), 200, content_type=JSON
        )

    def _binary(self, found: Stored, headers: dict[str, str]) -> Response:
        content_type = orjson.loads(found.body)["contentType"]
        as_fhir = wants_fhir(*asked(), content_type.lower())
        if not found.file_digest:
            raise NotFound("this Binary has no content")
        with self.server.database.read() as connection:
            size = stored_size(connection, found.file_digest)
        content = self.server.files.open(found.file_digest, size)
        if as_fhir:
            with content:
                data = base64.b64encode(content.read()).decode()
            body = f'{found.body[:-1]},"data":"{data}"}}'
            return Response(body, 200, headers, content_type=JSON)
        answer = send_file(
            content, content_type, as_attachment=True, download_name=found.id, etag=False
        )
        answer.content_length = size
        # A sender's file is shown by nobody's browser as a page of ours.
        headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        answer.headers.update(headers)
        del answer.headers["Cache-Control"]  # one for every answer is added at the end
        return answer


def enter(server: Server, interaction: str, target: str, query: str = "") -> Visit:
    """Begin a request: raises Unauthorized; from here on it is audited, whatever comes of it."""
    access = caller_access(server)
    token = token_name(request.headers.get("Authorization"))
    visit = Visit(server, access, interaction, target, query, token=token)
    g.visit = visit
    return visit


def record_visit(server: Server, visit: Visit | None, status: int) -> None:
    """Put a request into the audit journal, refusals of nobody known within a bound.

    Raises StoreUnavailable: nothing may be handed over then.
    """
    if visit is not None:
        server.journal.record(visit.event(status))
    elif status == Unauthorized.status:
        server.refusals.record(server.clock(), request.remote_addr or "", request.path)


def asked() -> tuple[str, str]:
    """Return the Accept header and the `_format` parameter."""
    return request.headers.get("Accept", ""), request.args.get("_format", "")


def _unchanged(etag: str) -> bool:
    given = request.headers.get("If-None-Match", "")
    return (
        any(part.strip() in (etag, etag[2:], "*") for part in given.split(",")) if given else False
    )
