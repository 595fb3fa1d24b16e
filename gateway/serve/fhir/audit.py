"""AuditEvents over FHIR: rendered from the journals when somebody reads them.

Only a scope that names AuditEvent allows it: `system/*.rs` does not. Reading the audit is itself
audited, as every other read. What was recorded in the last seconds is not under a seal yet, and
so not found yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import orjson
from flask import Response

from gateway.access.scopes import Access
from gateway.errors import Forbidden, NotFound
from gateway.fhir.audit_event import Recorded, audit_event
from gateway.serve.fhir.audit_query import read_search
from gateway.serve.fhir.bundle import Links, searchset
from gateway.serve.fhir.registry import Route
from gateway.serve.fhir.searches import pairs_sent, warnings
from gateway.serve.fhir.visit import Visit, preference
from gateway.serve.server import Server
from gateway.store.audit.entries import Entry, find, find_one
from gateway.store.audit.reading import read_events
from gateway.store.resources import Stored
from gateway.store.search.cursor import read_cursor, write_cursor

AUDIT = "AuditEvent"
_READERS = frozenset({"privacy", "administrator"})


def audit_routes() -> tuple[Route, ...]:
    """Return the routes of AuditEvent; they go before those of every other type."""
    types = frozenset({AUDIT})
    return (
        Route("read", "GET", (f"/{AUDIT}/<id_>",), _get, "Read what was recorded of one request",
              types, AUDIT),
        Route("search-type", "GET", (f"/{AUDIT}",), _search, "Search who did what", types, AUDIT),
        Route("search-type", "POST", (f"/{AUDIT}/_search",), _search,
              "The same, with the parameters in the body", types, AUDIT, body="form"),
    )  # fmt: skip


def require_audit(access: Access, letter: str) -> None:
    """Raise Forbidden unless a scope names AuditEvent, and a person's role is to look into it."""
    access.require(AUDIT, letter)
    wide = any(
        one.type == AUDIT and letter in one.letters and one.level != "patient"
        for one in access.scopes
        if not one.constraints
    )
    if not wide or (access.caller.person and not _READERS & set(access.caller.roles)):
        raise Forbidden("the audit is not for this caller")


def _get(visit: Visit, id_: str) -> Response:
    require_audit(visit.access, "r")
    with visit.server.database.read() as connection:
        entry = find_one(connection, id_)
    if entry is None:
        raise NotFound
    return visit.version(_rendered(visit.server, [entry])[0])


def _search(visit: Visit) -> Response:
    pairs = pairs_sent()
    visit.asked_for(pairs)
    require_audit(visit.access, "s")
    shown, server = visit.representation(), visit.server
    strict = preference("handling") == "strict"
    with server.database.read() as connection:
        query, wanted = read_search(connection, pairs, server.rules, strict=strict)
        position = read_cursor(query, visit.access.client)
        found = find(connection, replace(wanted, position=position), query.count + 1)
    page = found[: query.count]
    more = ""
    if len(found) > query.count:
        more = write_cursor(query, visit.access.client, (page[-1].at, page[-1].key))
    matches = _rendered(server, page)
    visit.noted(matches)
    base = server.settings.fhir_base
    links = Links(f"{base}/{AUDIT}", query.pairs, more)
    said = warnings(query.ignored)
    return visit.text(searchset(base, links, matches, outcome=said), shown)


def _rendered(server: Server, entries: Iterable[Entry]) -> tuple[Stored, ...]:
    folder, base = server.settings.data / "audit", server.settings.fhir_base
    return tuple(
        Stored(
            entry.key, AUDIT, entry.id, 1, event.time, False, None,
            orjson.dumps(audit_event(Recorded(entry.id, event, entry.patients, base))).decode(),
        )
        for entry, event in read_events(folder, entries)
    )  # fmt: skip
