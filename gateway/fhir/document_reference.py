"""The DocumentReference of a report that came as a document (MDM), beside its DiagnosticReport."""

from __future__ import annotations

from base64 import b64encode

from gateway.fhir import people, terms
from gateway.fhir.composed import Graph
from gateway.fhir.document import conclusion, presented_forms
from gateway.fhir.terms import Json
from gateway.report import Document, Identifier, Report

TYPE = "DocumentReference"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# What the status of a report says of its document (value set composition-status).
_COMPLETION = {
    "final": "final", "amended": "amended", "corrected": "amended", "appended": "amended",
    "entered-in-error": "entered-in-error", "cancelled": "entered-in-error",
}  # fmt: skip


def document_role(identifier: Identifier | None) -> str:
    """Name the resource of a document by its number (TXA-12)."""
    return f"document:{identifier.value if identifier else ''}"


def add_document(graph: Graph, report: Report) -> None:
    """Add the DocumentReference, if the report came as a document."""
    if report.document is None:
        return
    document = report.document
    completion = _COMPLETION.get(report.status, "preliminary")
    content = terms.put(
        terms.resource(TYPE),
        {
            "identifier": [terms.identifier(document.identifier)] if document.identifier else None,
            "status": completion if completion == "entered-in-error" else "current",
            "docStatus": completion,
            "type": terms.codeable(document.type),
            "subject": terms.reference(graph.subject),
            "date": report.issued if "T" in report.issued else None,
            "author": [one for who in document.authors if (one := people.practitioner(graph, who))],
            "custodian": graph.laboratory or None,
            "relatesTo": _relates_to(graph, document),
            "description": report.title.text,
            "securityLabel": _labels(document),
            "content": [{"attachment": one} for one in _contents(graph, report)],
            "context": {"related": [terms.reference(_report(graph))]},
        },
    )
    graph.add(TYPE, document_role(document.identifier), content)


def _report(graph: Graph) -> str:
    return graph.reference("DiagnosticReport", "DiagnosticReport")


def _relates_to(graph: Graph, document: Document) -> list[Json]:
    if document.parent is None:
        return []
    target = terms.put(
        {"type": TYPE, "identifier": terms.identifier(document.parent)},
        {"reference": graph.context.replaces},
    )
    return [{"code": "replaces", "target": target}]


def _labels(document: Document) -> list[Json]:
    code = document.confidentiality
    return [terms.concept(_CONFIDENTIALITY, code)] if code else []


def _contents(graph: Graph, report: Report) -> list[Json]:
    """The documents in it; lines of text become one plain text; else at least its title."""
    forms = presented_forms(graph, report)
    words = conclusion(report)
    if forms or not words:
        return forms or [{"title": report.title.text or "No content was sent"}]
    data = b64encode(words.encode()).decode("ascii")
    return [{"contentType": "text/plain; charset=utf-8", "data": data}]
