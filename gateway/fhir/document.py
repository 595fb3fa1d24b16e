"""The DiagnosticReport, its documents and its Provenance (domain.md 1.5, 5.4, 6)."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from gateway.fhir import people, terms
from gateway.fhir.composed import Graph
from gateway.fhir.narrative import narrative
from gateway.fhir.terms import Json
from gateway.report import Attachment, Report

_EXTENDS = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends"


def add_report(graph: Graph, report: Report) -> None:
    """Add the DiagnosticReport and a Binary for each document."""
    forms = presented_forms(graph, report)
    interpreters = [people.practitioner(graph, author) for author in report.authors]
    numbers = [terms.identifier(report.number, "FILL")] if report.number.value else []
    content = terms.put(
        terms.resource("DiagnosticReport", *_profiles(report)),
        {
            "text": {"status": "additional", "div": narrative(report)},
            "extension": _extensions(graph, report),
            "identifier": numbers,
            "basedOn": [terms.reference(graph.order)] if graph.order else None,
            "status": report.status,
            "category": [terms.concept(terms.SECTION, one) for one in _sections(report)],
            "code": _code(report),
            "subject": terms.reference(graph.subject),
            "effectiveDateTime": report.effective,
            # An instant has a time: a bare date of issue cannot be one, and none is invented.
            "issued": report.issued if "T" in report.issued else None,
            "performer": [graph.laboratory] if graph.laboratory else None,
            "resultsInterpreter": [one for one in interpreters if one],
            "specimen": terms.references(graph.specimens),
            "result": terms.references(graph.of_type("Observation")),
            "conclusion": conclusion(report),
            "conclusionCode": terms.codeables((report.outcome,)),
            "presentedForm": forms,
        },
    )
    graph.add("DiagnosticReport", "DiagnosticReport", content)


def add_provenance(graph: Graph) -> None:
    """Add where all of it came from: source message, sender, mapping version."""
    context = graph.context
    mapping = " ".join(part for part in (context.sender, context.mapping_version) if part)
    display = f"Genomics gateway, mapping {mapping}" if mapping else "Genomics gateway"
    source = terms.put({"identifier": {"value": context.message_id}}, {"display": context.sender})
    author = graph.laboratory or {"type": "Organization", "display": context.sender or "Sender"}
    gateway = {"type": "Device", "identifier": {"value": "genomics-gateway"}, "display": display}
    content = terms.resource("Provenance")
    content |= {
        # Organisations and people of many reports are not this message's work.
        "target": [
            terms.reference(graph.made_as(one))
            for one in graph.made
            if one.type == "Patient" or not one.shared
        ],
        "recorded": context.received,
        "agent": [_agent("author", author), _agent("assembler", gateway)],
        "entity": [{"role": "source", "what": source}],
    }
    graph.add("Provenance", "Provenance", content)


def _agent(kind: str, who: Json) -> Json:
    return {"type": terms.concept(terms.PARTICIPANT, kind), "who": who}


def _profiles(report: Report) -> tuple[str, ...]:
    return ("genomic-report",) if report.genomic else ()


def _sections(report: Report) -> tuple[str, ...]:
    return ("GE", "LAB") if report.genomic else ("LAB",)


def _code(report: Report) -> Json:
    title = terms.codeable(report.title)
    if not report.genomic:
        return title or {"text": "Laboratory report"}
    codings = [
        terms.coding(terms.LOINC, terms.REPORT_CODE),
        terms.coding(terms.SNOMED, terms.REPORT_SNOMED),
    ]
    known = {(one["system"], one["code"]) for one in codings}
    local = [one for one in title.get("coding", ()) if (one["system"], one["code"]) not in known]
    return terms.put({"coding": codings + local}, {"text": title.get("text")})


def conclusion(report: Report) -> str:
    """Return the words of the report: its interpretation, and where it is plain all its text."""
    # A genomic report keeps further words in its notes; a plain one has only this place.
    if report.conclusion and report.genomic:
        return report.conclusion
    return "\n\n".join(text for text in (report.conclusion, *report.narrative) if text)


def _extensions(graph: Graph, report: Report) -> list[Json]:
    made = [_link("recommended-action", target) for target in graph.of_type("Task")]
    if graph.study:
        made.insert(0, _link("genomic-study-reference", graph.study))
    if report.extends and report.extends.value != report.number.value:
        earlier = terms.put(
            {"type": "DiagnosticReport", "identifier": terms.identifier(report.extends, "FILL")},
            {"reference": graph.context.extends},
        )
        made.append(terms.extension(_EXTENDS, "valueReference", earlier))
    if report.conclusion and report.genomic:
        made += [
            terms.extension(terms.profile("genomic-report-note"), "valueAnnotation", {"text": text})
            for text in report.narrative
            if text
        ]
    return made


def _link(name: str, target: str) -> Json:
    return terms.extension(terms.profile(name), "valueReference", terms.reference(target))


def presented_forms(graph: Graph, report: Report) -> list[Json]:
    """Return an Attachment for each document, and add the Binary that each one points to."""
    made: dict[str, Json] = {}
    for attachment in report.attachments:
        if attachment.url:
            made[attachment.url] = _pointer(attachment)
            continue
        digest = hashlib.sha256(attachment.content).hexdigest()
        if digest not in made:
            made[digest] = _presented_form(graph, attachment, digest)
    return list(made.values())


def _pointer(given: Attachment) -> Json:
    content = {"contentType": given.media_type, "url": given.url}
    return terms.put(content, {"title": given.title})


def _presented_form(graph: Graph, given: Attachment, digest: str) -> Json:
    # Attachment.hash is SHA-1 by definition (R4 datatypes, Attachment): a check, no protection.
    sha1 = hashlib.sha1(given.content, usedforsecurity=False).digest()
    place = (
        {"data": b64encode(given.content).decode("ascii")}
        if graph.context.inline
        else {"url": _binary(graph, given, digest)}
    )
    return terms.put(
        {"contentType": given.media_type, **place},
        {
            "size": len(given.content),
            "hash": b64encode(sha1).decode("ascii"),
            "title": given.title,
        },
    )


def _binary(graph: Graph, given: Attachment, digest: str) -> str:
    content = terms.resource("Binary")
    content["contentType"] = given.media_type
    owner = graph.reference("DiagnosticReport", "DiagnosticReport")
    content["securityContext"] = terms.reference(owner)
    return graph.add("Binary", f"binary:{digest}", content, given)
