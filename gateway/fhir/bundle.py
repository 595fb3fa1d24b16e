"""Bundles: transactions of what was composed, and search pages of stored bytes (R4 bundle).

Stored bytes are never parsed and written again: decimals and the order of elements would change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import orjson

from gateway.fhir.composed import SHARED, Composed, Ids
from gateway.fhir.terms import Json

_NAMESPACE = UUID("0c4f5a0e-6f0e-5d0b-9a52-2f6d3a1f7c11")


def to_json(content: Any, *, indent: bool = False) -> bytes:
    """Write a resource as JSON; a Decimal keeps its text, so `0.50` stays `0.50`."""
    return orjson.dumps(content, default=_number, option=orjson.OPT_INDENT_2 if indent else 0)


def stable_ids(digest: str, part: str = "") -> Ids:
    """Give `urn:uuid` references that are the same for the same bytes.

    `part` tells the reports of one message apart; what they share stays one resource.
    """

    known: dict[tuple[str, str], str] = {}

    def give(type: str, role: str) -> str:
        key = type, role
        if key not in known:
            of = "" if type in SHARED else part
            known[key] = uuid5(_NAMESPACE, f"{digest}\n{of}\n{type}\n{role}").urn
        return known[key]

    return give


def transaction(composed: Iterable[Composed], ids: Ids) -> Json:
    """Make a closed transaction Bundle; `ids` must give `urn:uuid` references.

    Shared resources go in by conditional create, a report's own by their id, so that sending
    the Bundle twice makes nothing new.
    """
    entries: dict[str, Json] = {}
    for one in composed:
        url = ids(one.type, one.role)
        entries.setdefault(url, _entry(one, url))
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries.values())}


def searchset(
    base_url: str,
    self_link: str,
    matches: Iterable[tuple[str, bytes, str]],
    total: int | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Write a searchset by joining stored bytes.

    A match is (`Type/id`, stored JSON, search mode: match, include or outcome); `links` are
    (relation, URL) besides `self`.
    """
    head: Json = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [
        {"relation": relation, "url": url} for relation, url in (("self", self_link), *links)
    ]
    base = base_url.rstrip("/")
    entries = b",".join(
        b'{"fullUrl":%b,"resource":%b,"search":{"mode":"%b"}}'
        % (orjson.dumps(f"{base}/{path}"), body, mode.encode("ascii"))
        for path, body, mode in matches
    )
    written = orjson.dumps(head)
    return b'%b,"entry":[%b]}' % (written[:-1], entries) if entries else written


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError


def _entry(one: Composed, url: str) -> Json:
    condition = _condition(one.resource) if one.shared else ""
    if condition and one.resource.get("active") is False:
        # A patient merged into another is changed where it is known, not only made.
        request = {"method": "PUT", "url": f"{one.type}?{condition}"}
        return {"fullUrl": url, "resource": one.resource, "request": request}
    if condition:
        request = {"method": "POST", "url": one.type, "ifNoneExist": condition}
        return {"fullUrl": url, "resource": one.resource, "request": request}
    id_ = url.removeprefix("urn:uuid:")
    resource = {"resourceType": one.type, "id": id_, **one.resource}
    return {
        "fullUrl": url,
        "resource": resource,
        "request": {"method": "PUT", "url": f"{one.type}/{id_}"},
    }


def _condition(content: Json) -> str:
    for identifier in content.get("identifier", ()):
        if "system" in identifier and "value" in identifier:
            token = f"{identifier['system']}|{identifier['value']}"
            return f"identifier={quote(token, safe='')}"
    return ""
