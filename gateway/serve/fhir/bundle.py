"""Bundles from stored text: every resource is spliced in as it was stored, none is parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from gateway.store.dates import instant_text
from gateway.store.resources import Stored
from gateway.store.search import Page


def searchset(base: str, page: Page, outcome: dict[str, Any] | None) -> str:
    """Write a page; `outcome` tells what was ignored."""
    links = [("self", _url(base, page, ""))]
    if page.next:
        links.append(("next", _url(base, page, page.next)))
    entries = [_entry(base, found, "match") for found in page.matches]
    entries += [_entry(base, found, "include") for found in page.included]
    if outcome:
        body = orjson.dumps(outcome).decode()
        entries.append(f'{{"resource":{body},"search":{{"mode":"outcome"}}}}')
    return _bundle("searchset", page.total, links, entries)


def history(base: str, url: str, versions: Sequence[Stored]) -> str:
    """Write the versions of one resource, newest first."""
    entries = [_version(base, found) for found in versions]
    return _bundle("history", len(versions), [("self", url)], entries)


def _bundle(
    kind: str, total: int | None, links: Iterable[tuple[str, str]], entries: Sequence[str]
) -> str:
    shown = [{"relation": relation, "url": url} for relation, url in links]
    parts = [f'{{"resourceType":"Bundle","type":"{kind}"']
    if total is not None:
        parts.append(f'"total":{total}')
    parts.append('"link":' + orjson.dumps(shown).decode())
    if entries:  # FHIR knows no empty arrays
        parts.append('"entry":[' + ",".join(entries) + "]")
    return ",".join(parts) + "}"


def _url(base: str, page: Page, cursor: str) -> str:
    pairs = [*page.query.pairs, *([("_cursor", cursor)] if cursor else [])]
    return f"{base}/{page.query.type}" + (f"?{urlencode(pairs)}" if pairs else "")


def _entry(base: str, found: Stored, mode: str) -> str:
    return (
        f'{{"fullUrl":"{base}/{found.type}/{found.id}","resource":{found.body},'
        f'"search":{{"mode":"{mode}"}}}}'
    )


def _version(base: str, found: Stored) -> str:
    place = f"{found.type}/{found.id}"
    method, status = ("PUT", "200")
    if found.deleted:
        method, status = "DELETE", "204"
    elif found.version == 1:
        status = "201"
    resource = "" if found.deleted else f'"resource":{found.body},'
    return (
        f'{{"fullUrl":"{base}/{place}",{resource}'
        f'"request":{{"method":"{method}","url":"{place}"}},'
        f'"response":{{"status":"{status}","etag":"W/\\"{found.version}\\"",'
        f'"lastModified":"{instant_text(found.updated_at)}"}}}}'
    )
