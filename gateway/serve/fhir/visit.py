"""One FHIR request: who asks, what for, and what the audit journal will say about it."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from flask import Response, g, request, send_file
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date

from gateway.access.access import Access
from gateway.errors import InvalidRequest, NotFound, Unauthorized
from gateway.fhir.terms import Json
from gateway.oauth.bearer import token_name
from gateway.serve.caller import caller_access
from gateway.serve.fhir.formats import wanted_of_binary
from gateway.serve.fhir.representation import Representation, representation
from gateway.serve.server import Server
from gateway.store.audit import Event
from gateway.store.files import stored_size
from gateway.store.resources import Stored

Pairs = list[tuple[str, str]]


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
        caller = self.access.caller
        return Event(
            time=self.server.clock(),
            client=self.access.client,
            interaction=self.interaction,
            target=self.target,
            status=status,
            query=self.query,
            returned=tuple(self.returned),
            person=caller.person,
            purpose=caller.purpose if caller.person else "",
            address=request.remote_addr or "",
            token=self.token,
        )

    def representation(self) -> Representation:
        """Return how the answer is wanted; raises NotAcceptable, InvalidRequest."""
        return asked(request.args)

    def asked_for(self, pairs: Pairs) -> None:
        """Keep what was asked, for the journal."""
        self.query = orjson.dumps(pairs).decode()

    def noted(self, found: list[Stored] | tuple[Stored, ...]) -> None:
        """Keep which resources are handed over, for the journal."""
        self.returned += [f"{one.type}/{one.id}" for one in found]

    def noted_versions(self, found: list[Stored] | tuple[Stored, ...]) -> None:
        """Keep which versions are handed over, for the journal."""
        self.returned += [f"{one.type}/{one.id}/_history/{one.version}" for one in found]

    def version(self, found: Stored, status: int = 200) -> Response:
        """Answer with one version of a resource, unless the client has it already."""
        self.noted_versions([found])
        headers = version_headers(found)
        if _unchanged(headers["ETag"], found.updated_at):
            return Response(status=304, headers=headers)
        if found.type == "Binary":
            return self._binary(found, headers)
        shown = self.representation()
        return Response(shown.write(found.body), status, headers, content_type=shown.media)

    def text(self, body: str, shown: Representation | None = None, status: int = 200) -> Response:
        """Answer with a resource that is JSON text."""
        shown = shown or self.representation()
        return Response(shown.write(body), status, content_type=shown.media)

    def content(self, content: Json, status: int = 200) -> Response:
        """Answer with a resource that was made for this answer."""
        shown = self.representation()
        return Response(shown.write_content(content), status, content_type=shown.media)

    def _binary(self, found: Stored, headers: dict[str, str]) -> Response:
        content_type = orjson.loads(found.body)["contentType"]
        given = (request.headers.get("Accept", ""), request.args.get("_format", ""))
        as_fhir = wanted_of_binary(*given, content_type.lower())
        if not found.file_digest:
            raise NotFound("this Binary has no content")
        with self.server.database.read() as connection:
            size = stored_size(connection, found.file_digest)
        content = self.server.files.open(found.file_digest, size)
        if as_fhir:
            with content:
                data = base64.b64encode(content.read()).decode()
            shown = Representation(as_fhir)
            body = shown.write(f'{found.body[:-1]},"data":"{data}"}}')
            return Response(body, 200, headers, content_type=as_fhir)
        answer = send_file(
            content, content_type, as_attachment=True, download_name=found.id, etag=False
        )
        answer.content_length = size
        # A sender's file is shown by nobody's browser as a page of ours.
        headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        answer.headers.update(headers)
        del answer.headers["Cache-Control"]  # one for every answer is added at the end
        with suppress(RequestedRangeNotSatisfiable):  # then the whole is sent (RFC 9110 14.2)
            answer.make_conditional(request, accept_ranges=True, complete_length=size)
        return answer


def enter(server: Server, interaction: str, target: str) -> Visit:
    """Begin a request: raises Unauthorized; from here on it is audited, whatever comes of it."""
    access = caller_access(server)
    token = token_name(request.headers.get("Authorization"))
    visit = Visit(server, access, interaction, target, token=token)
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


def asked(args: MultiDict[str, str]) -> Representation:
    """Return how an answer is wanted; raises NotAcceptable, and InvalidRequest for nonsense."""
    return representation(
        request.headers.get("Accept", ""),
        args.get("_format", ""),
        args.get("_pretty", ""),
        args.get("_summary", ""),
        args.get("_elements", ""),
    )


def pairs_of(values: MultiDict[str, str]) -> Pairs:
    """Return every parameter and value, in order of names."""
    return [(name, value) for name, several in values.lists() for value in several]


def version_headers(found: Stored) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    return {
        "ETag": f'W/"{found.version}"',
        "Last-Modified": http_date(found.updated_at // 1_000_000),
    }


def preference(name: str) -> str:
    """Return a preference of the Prefer header (RFC 7240), lower-cased, or nothing."""
    for part in request.headers.get("Prefer", "").replace(";", ",").split(","):
        key, _, value = (text.strip().lower() for text in part.partition("="))
        if key == name:
            return value.strip('"')
    return ""


def _unchanged(etag: str, updated_at: int) -> bool:
    given: Any = request.headers.get("If-None-Match")
    if given:
        return any(part.strip() in (etag, etag[2:], "*") for part in given.split(","))
    since = request.headers.get("If-Modified-Since")
    if not since:
        return False
    try:
        return updated_at // 1_000_000 <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        return False  # RFC 9110 13.1.3: what is no date is ignored


def number(name: str, default: int, most: int) -> int:
    """Return a parameter that is a number, at most `most`; raises InvalidRequest."""
    text = request.args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("must be a number", where=name)
    return min(int(text), most)
