"""Bundles: transactions of what was composed, and search pages of stored bytes (R4 bundle).

Stored bytes are never parsed and written again: decimals and the order of elements would change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

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
    shared, own = (_named_within(f"{digest}\n{of}\n") for of in ("", part))

    def give(type: str, role: str) -> str:
        key = type, role
        if key not in known:
            known[key] = (shared if type in SHARED else own)(f"{type}\n{role}")
        return known[key]

    return give


def _named_within(start: str) -> Callable[[str], str]:
    """Return what makes the `urn:uuid` of a name that begins so (RFC 9562 5.5, version 5)."""
    # As uuid.uuid5 does, without its objects: there is one for each of hundreds of results.
    begun = hashlib.sha1(_NAMESPACE.bytes + start.encode(), usedforsecurity=False)

    def urn(rest: str) -> str:
        hashed = begun.copy()
        hashed.update(rest.encode())
        octets = bytearray(hashed.digest()[:16])
        octets[6] = octets[6] & 0x0F | 0x50
        octets[8] = octets[8] & 0x3F | 0x80
        text = octets.hex()
        return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    return urn


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
