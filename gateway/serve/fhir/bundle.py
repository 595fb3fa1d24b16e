"""Bundles from stored text: every resource is spliced in as it was stored, none is parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from gateway.store.dates import instant_text
from gateway.store.resources import Stored


@dataclass(frozen=True, slots=True)
class Links:
    """Where an answer is found again, and its next page: `url` has no query."""

    url: str
    pairs: Sequence[tuple[str, str]] = ()
    next: str = ""

    def shown(self) -> list[dict[str, str]]:
        """Return the links of a Bundle."""
        made = [{"relation": "self", "url": self._with(())}]
        if self.next:
            made.append({"relation": "next", "url": self._with([("_cursor", self.next)])})
        return made

    def _with(self, more: Sequence[tuple[str, str]]) -> str:
        pairs = [*self.pairs, *more]
        return f"{self.url}?{urlencode(pairs)}" if pairs else self.url


def searchset(
    base: str,
    links: Links,
    matches: Iterable[Stored],
    included: Iterable[Stored] = (),
    total: int | None = None,
    outcome: dict[str, Any] | None = None,
) -> str:
    """Write a page; `outcome` tells what was ignored."""
    entries = [_entry(base, found, "match") for found in matches]
    entries += [_entry(base, found, "include") for found in included]
    if outcome:
        entries.append(f'{{"resource":{json_text(outcome)},"search":{{"mode":"outcome"}}}}')
    return _bundle("searchset", total, links, entries)


def history(base: str, links: Links, versions: Iterable[Stored], total: int | None) -> str:
    """Write versions, newest first."""
    return _bundle("history", total, links, [_version(base, found) for found in versions])


def responses(kind: str, entries: Iterable[str]) -> str:
    """Write the answer to a batch or transaction."""
    return f'{{"resourceType":"Bundle","type":"{kind}-response"{_entries(list(entries))}}}'


def written(base: str, found: Stored, status: str, *, shown: bool, outcome: str = "") -> str:
    """Write the entry that answers a write."""
    place = f"{base}/{found.type}/{found.id}"
    resource = f'"resource":{found.body},' if shown else ""
    said = f',"outcome":{outcome}' if outcome else ""
    return (
        f'{{"fullUrl":"{place}",{resource}"response":{{"status":"{status}",'
        f'"location":"{place}/_history/{found.version}","etag":"W/\\"{found.version}\\"",'
        f'"lastModified":"{instant_text(found.updated_at)}"{said}}}}}'
    )


def answered(body: str, found: Stored | None = None) -> str:
    """Write the entry that answers a read."""
    seen = ""
    if found:
        seen = (
            f',"etag":"W/\\"{found.version}\\"","lastModified":"{instant_text(found.updated_at)}"'
        )
    return f'{{"resource":{body},"response":{{"status":"200 OK"{seen}}}}}'


def refused(status: int, outcome: dict[str, Any]) -> str:
    """Write the entry that answers what failed."""
    return f'{{"response":{{"status":"{status}","outcome":{json_text(outcome)}}}}}'


def json_text(content: dict[str, Any]) -> str:
    """Write a resource that was made for this answer."""
    return orjson.dumps(content).decode()


def _bundle(kind: str, total: int | None, links: Links, entries: Sequence[str]) -> str:
    counted = "" if total is None else f',"total":{total}'
    shown = orjson.dumps(links.shown()).decode()
    head = f'{{"resourceType":"Bundle","type":"{kind}"{counted},"link":{shown}'
    return f"{head}{_entries(entries)}}}"


def _entries(entries: Sequence[str]) -> str:
    return f',"entry":[{",".join(entries)}]' if entries else ""  # FHIR knows no empty arrays


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
