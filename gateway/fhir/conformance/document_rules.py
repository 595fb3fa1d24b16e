"""Rules of R4 about whole Bundles and contained resources, which no profile needs to repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.fhir.conformance.document import Document
from gateway.fhir.conformance.finding import Finding, error
from gateway.fhir.conformance.items import Item

Json = dict[str, Any]

_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})
_VERSIONED = re.compile(r"/_history/").search


def bundle_findings(bundle: Json, path: str, document: Document) -> Iterator[Finding]:
    """Yield what breaks bdl-1 to bdl-10, and references that lead nowhere."""
    type_ = str(bundle.get("type"))
    if "total" in bundle and type_ not in ("searchset", "history"):
        yield error(f"{path}.total", "only a searchset or history has a total (bdl-1)")
    seen: set[tuple[str, str]] = set()
    for at, entry in enumerate(bundle.get("entry", ())):
        where = f"{path}.entry[{at}]"
        yield from _entry(entry, where, type_)
        key = (entry.get("fullUrl", ""), _version(entry))
        if key[0] and key in seen:
            yield error(f"{where}.fullUrl", "must be unique in the Bundle (bdl-7)")
        seen.add(key)
    if type_ in ("document", "message"):
        yield from _first(bundle, path, type_)
    yield from _dangling(bundle, path, document)


def _entry(entry: Json, where: str, type_: str) -> Iterator[Finding]:
    if not {"resource", "request", "response"} & entry.keys():
        yield error(where, "must have a resource, a request or a response (bdl-5)")
    if "search" in entry and type_ != "searchset":
        yield error(f"{where}.search", "stands in a searchset only (bdl-2)")
    for name, types, key in (("request", _REQUESTS, "bdl-3"), ("response", _RESPONSES, "bdl-4")):
        if (name in entry) != (type_ in types):
            word = "is required" if type_ in types else "is prohibited"
            yield error(f"{where}.{name}", f"{word} in a Bundle of this type ({key})")
    if _VERSIONED(entry.get("fullUrl", "")):
        yield error(f"{where}.fullUrl", "must not name a version (bdl-8)")


def _version(entry: Json) -> str:
    return str(entry.get("resource", {}).get("meta", {}).get("versionId", ""))


def _first(bundle: Json, path: str, type_: str) -> Iterator[Finding]:
    wanted = {"document": "Composition", "message": "MessageHeader"}[type_]
    entries = bundle.get("entry") or [{}]
    if entries[0].get("resource", {}).get("resourceType") != wanted:
        yield error(f"{path}.entry[0].resource", f"must be a {wanted} (bdl-11, bdl-12)")


def _dangling(bundle: Json, path: str, document: Document) -> Iterator[Finding]:
    for where, reference in references(bundle, path):
        literal = reference["reference"]
        if literal.startswith("urn:") and document.target(reference, bundle) is None:
            yield error(f"{where}.reference", "leads to nothing in this Bundle")


def references(content: Any, path: str) -> Iterator[tuple[str, Json]]:
    """Yield every literal Reference with its place."""
    if isinstance(content, list):
        for at, one in enumerate(content):
            yield from references(one, f"{path}[{at}]")
    elif isinstance(content, dict):
        if isinstance(content.get("reference"), str):
            yield path, content
        for name, value in content.items():
            yield from references(value, f"{path}.{name}")


def contained_findings(resource: Item, document: Document) -> Iterator[Finding]:
    """Yield what breaks dom-2 to dom-5, and local references that lead nowhere."""
    contained = resource.value.get("contained", ())
    pointed = set(_texts({k: v for k, v in resource.value.items() if k != "contained"}))
    pointed.update(one for part in contained for one in _texts(part))
    for at, one in enumerate(contained):
        where = f"{resource.path}.contained[{at}]"
        if "contained" in one:
            yield error(f"{where}.contained", "is prohibited in a contained resource (dom-2)")
        meta = one.get("meta", {})
        for name, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
            if name in meta:
                yield error(
                    f"{where}.meta.{name}", f"is prohibited in a contained resource ({key})"
                )
        if f"#{one.get('id')}" not in pointed and "#" not in set(_texts(one)):
            yield error(where, "nothing refers to this contained resource (dom-3)")
    yield from _local(resource, document)


def _local(resource: Item, document: Document) -> Iterator[Finding]:
    own = {name: one for name, one in resource.value.items() if name not in ("resource", "entry")}
    for where, reference in references(own, resource.path):
        local = reference["reference"].startswith("#")
        if local and document.target(reference, resource.value) is None:
            yield error(f"{where}.reference", "leads to no contained resource")


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        if content.startswith("#"):
            yield content
    elif isinstance(content, list):
        for one in content:
            yield from _texts(one)
    elif isinstance(content, dict):
        for one in content.values():
            yield from _texts(one)
