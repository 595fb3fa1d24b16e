"""AuditEvents over FHIR: rendered from the journals when somebody reads them.

Only a scope that names AuditEvent allows it: `system/*.rs` does not. Reading the audit is itself
audited, as every other read. What was recorded in the last seconds is not under a seal yet, and
so not found yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson
from flask import Blueprint, Response, request

from gateway.access.scopes import Access
from gateway.errors import Forbidden, NotFound
from gateway.fhir.audit_event import Recorded, audit_event
from gateway.serve.fhir.audit_query import read_search
from gateway.serve.fhir.visit import Visit, enter
from gateway.serve.server import Server
from gateway.store.audit.entries import Entry, find, find_one
from gateway.store.audit.reading import read_events
from gateway.store.cursor import read_cursor, write_cursor
from gateway.store.resources import Stored
from gateway.store.search import Page

AUDIT = "AuditEvent"
Pairs = list[tuple[str, str]]
_READERS = frozenset({"privacy", "administrator"})


def add_audit(blueprint: Blueprint, server: Server, pairs: Callable[[], Pairs]) -> None:
    """Add the routes of AuditEvent; they go before those of every other type."""

    @blueprint.get(f"/{AUDIT}/<id_>")
    def audit_read(id_: str) -> Response:
        visit = enter(server, "read", f"{AUDIT}/{id_}")
        require_audit(visit.access, "r")
        return visit.version(_read(server, id_))

    @blueprint.get(f"/{AUDIT}")
    @blueprint.post(f"/{AUDIT}/_search")
    def audit_search() -> Response:
        given = pairs()
        visit = enter(server, "search-type", AUDIT, orjson.dumps(given).decode())
        require_audit(visit.access, "s")
        visit.json()
        return _search(server, visit, given)


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


def _read(server: Server, id_: str) -> Stored:
    with server.database.read() as connection:
        entry = find_one(connection, id_)
    if entry is None:
        raise NotFound
    return _rendered(server, [entry])[0]


def _search(server: Server, visit: Visit, pairs: Pairs) -> Response:
    strict = "handling=strict" in request.headers.get("Prefer", "").replace(" ", "").lower()
    with server.database.read() as connection:
        query, wanted = read_search(connection, pairs, server.rules, strict=strict)
        position = read_cursor(query, visit.access.client)
        found = find(connection, replace(wanted, position=position), query.count + 1)
    shown = found[: query.count]
    more = ""
    if len(found) > query.count:
        more = write_cursor(query, visit.access.client, (shown[-1].at, shown[-1].key))
    page = Page(query, matches=_rendered(server, shown), next=more)
    return visit.page(page, visit.ignored(query.ignored))


def _rendered(server: Server, entries: Iterable[Entry]) -> tuple[Stored, ...]:
    folder, base = server.settings.data / "audit", server.settings.fhir_base
    return tuple(
        Stored(
            entry.key, AUDIT, entry.id, 1, event.time, False, None,
            orjson.dumps(audit_event(Recorded(entry.id, event, entry.patients, base))).decode(),
        )
        for entry, event in read_events(folder, entries)
    )  # fmt: skip
