"""From a `Report` to its FHIR resources, genomic and plain, on one page (domain.md 6)."""

from __future__ import annotations

from gateway.fhir import people
from gateway.fhir.composed import Composed, Context, Graph, Ids
from gateway.fhir.document import add_provenance, add_report
from gateway.fhir.document_reference import add_document
from gateway.fhir.findings import add_findings
from gateway.fhir.laboratory import add_results
from gateway.fhir.study import add_order, add_specimens, add_study
from gateway.report import Report


def compose(report: Report, ids: Ids, context: Context) -> tuple[Composed, ...]:
    """Compose every resource of a report, Patient first and Provenance last.

    Raises NotConformant for an implication that is about no finding of its report.
    """
    graph = Graph(ids, context)
    graph.subject = graph.add("Patient", "Patient", people.patient(report.patient, context))
    graph.laboratory = people.organization(graph, report.laboratory)
    add_specimens(graph, report)
    add_order(graph, report)
    add_study(graph, report)
    add_findings(graph, report)
    add_results(graph, report)
    add_report(graph, report)
    add_document(graph, report)
    add_provenance(graph)
    return tuple(graph.made)
