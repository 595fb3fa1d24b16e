"""A report as a document: the Composition that opens it, and the Bundle (R4 documents.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from gateway.fhir import terms
from gateway.fhir.terms import Json

_NAMESPACE = UUID("5b0e3c5e-6a8b-5a43-9d0e-5d8e2a3f9c10")
_URI = "urn:ietf:rfc:3986"
_STATUS = {
    "registered": "preliminary", "partial": "preliminary", "preliminary": "preliminary",
    "final": "final", "amended": "amended", "corrected": "amended", "appended": "amended",
    "cancelled": "entered-in-error", "entered-in-error": "entered-in-error",
    "unknown": "preliminary",
}  # fmt: skip
_EMPTY = '<div xmlns="http://www.w3.org/1999/xhtml"><p>{}</p></div>'


def composition(report: Json) -> Json:
    """Write the Composition of a DiagnosticReport; its id is the same for the same version."""
    meta = report["meta"]
    named = uuid5(_NAMESPACE, f"{report['id']}/{meta['versionId']}")
    title = _title(report)
    narrative = report.get("text", {}).get("div") or _EMPTY.format("See the report.")
    about = {"reference": f"DiagnosticReport/{report['id']}"}
    sections = [_section(title, narrative, [about])]
    for heading, name in (("Results", "result"), ("Specimens", "specimen")):
        entries = [one for one in report.get(name, ()) if "reference" in one]
        if entries:
            words = _EMPTY.format(f"{heading}: {len(entries)}")
            sections.append(_section(heading, words, entries))
    return terms.put(
        {"resourceType": "Composition", "id": str(named)},
        {
            "identifier": {"system": _URI, "value": f"urn:uuid:{named}"},
            "status": _STATUS[report["status"]],
            "type": report["code"],
            "category": report.get("category"),
            "subject": report["subject"],
            "date": report.get("issued") or meta["lastUpdated"],
            "author": _authors(report),
            "title": title,
            "custodian": _custodian(report),
            "section": sections,
        },
    )


def document(opening: Json, others: Iterable[Json], base: str, timestamp: str) -> Json:
    """Write the document Bundle; `base` is the FHIR base URL, `timestamp` an instant."""
    entries = [
        {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one}
        for one in (opening, *others)
    ]
    return {
        "resourceType": "Bundle",
        "id": opening["id"],
        "identifier": opening["identifier"],
        "type": "document",
        "timestamp": timestamp,
        "entry": entries,
    }


def references(content: Any) -> Iterator[tuple[str, str]]:
    """Yield (type, id) of every local reference in a resource, `Patient.link` left out.

    Who a patient was merged with is another patient: no part of this one's report.
    """
    if isinstance(content, list):
        for one in content:
            yield from references(one)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name == "reference" and isinstance(value, str):
                type_, _, id_ = value.partition("/_history/")[0].rpartition("/")
                if type_.isalpha() and id_:
                    yield type_, id_
            elif not (name == "link" and content.get("resourceType") == "Patient"):
                yield from references(value)


def _title(report: Mapping[str, Any]) -> str:
    code = report["code"]
    displays = [one["display"] for one in code.get("coding", ()) if "display" in one]
    return str(code.get("text") or next(iter(displays), "Laboratory report"))


def _authors(report: Mapping[str, Any]) -> list[Json]:
    given = [*report.get("performer", ()), *report.get("resultsInterpreter", ())]
    return given or [{"display": "Not stated"}]


def _custodian(report: Mapping[str, Any]) -> Json | None:
    places = [
        one for one in report.get("performer", ())
        if one.get("reference", "").startswith("Organization/")
    ]  # fmt: skip
    return next(iter(places), None)


def _section(title: str, div: str, entries: Sequence[Json]) -> Json:
    return {"title": title, "text": {"status": "additional", "div": div}, "entry": list(entries)}
