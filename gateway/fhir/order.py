"""From a `Request` to its FHIR resources: the ServiceRequest and what it names (domain.md 6).

An answer to a question asked at ordering is an Observation of category `survey`, named in
`ServiceRequest.supportingInfo`: it is a statement about the patient that a code can find, and not
a laboratory result. A QuestionnaireResponse would need a Questionnaire that no sender has, and a
note would lose the code.
"""

from __future__ import annotations

from gateway.fhir import people, terms
from gateway.fhir.composed import Composed, Context, Graph, Ids
from gateway.fhir.document import add_provenance
from gateway.fhir.laboratory import value_of
from gateway.fhir.study import TESTED
from gateway.fhir.terms import Json
from gateway.report import Code, Result, Specimen
from gateway.request import Request

ROLE = "ServiceRequest"
# R4 binds these codes to its vital signs profiles: unit and category are not free.
_VITAL_SIGNS = {
    "8302-2": ("cm", "[in_i]"), "9843-4": ("cm", "[in_i]"), "8480-6": ("mm[Hg]",),
    "29463-7": ("g", "kg", "[lb_av]"), "39156-5": ("kg/m2",), "8310-5": ("Cel", "[degF]"),
    "8462-4": ("mm[Hg]",), "8867-4": ("/min",), "9279-1": ("/min",), "2708-6": ("%",),
    "85353-1": (), "85354-9": (),
}  # fmt: skip


def compose_request(request: Request, ids: Ids, context: Context) -> tuple[Composed, ...]:
    """Compose every resource of an order, Patient first and Provenance last."""
    graph = Graph(ids, context)
    graph.subject = graph.add("Patient", "Patient", people.patient(request.patient, context))
    order = request.order
    # Who says so is who ordered: the author of the Provenance.
    graph.laboratory = people.organization(graph, order.requester)
    graph.specimens = tuple(
        graph.add("Specimen", graph.numbered(_specimen_role(one)), _specimen(graph, one))
        for one in request.specimens
    )
    answers = [
        graph.add("Observation", graph.numbered(f"answer:{one.key}"), _answer(graph, one, request))
        for one in request.answers
    ]
    graph.order = graph.add("ServiceRequest", ROLE, _service_request(graph, request, answers))
    add_provenance(graph)
    return tuple(graph.made)


def notes(request: Request) -> list[Json]:
    """Return the notes of an order, whose material it is about first (safety.md 10)."""
    about = TESTED.get(request.tested_subject)
    said = "\n".join(text for text in (request.order.note, *request.notes) if text)
    texts = (f"To be tested: {about}, not the patient." if about else "", said)
    return [{"text": text} for text in texts if text]


def _service_request(graph: Graph, request: Request, answers: list[str]) -> Json:
    order = request.order
    numbers = ((order.placer, "PLAC"), (order.filler, "FILL"))
    return terms.put(
        terms.resource("ServiceRequest"),
        {
            "identifier": [terms.identifier(one, type_) for one, type_ in numbers if one],
            "requisition": terms.identifier(request.group) if request.group else None,
            "status": request.status,
            "intent": "order",
            "priority": request.priority,
            "code": terms.codeable(order.test),
            "subject": terms.reference(graph.subject),
            "authoredOn": order.requested,
            "requester": people.requester(graph, order.requester, order.requester_person),
            "reasonCode": terms.codeables(request.reasons),
            "supportingInfo": terms.references(answers),
            "specimen": terms.references(graph.specimens),
            "note": notes(request),
        },
    )


def _specimen_role(given: Specimen) -> str:
    return f"specimen:{given.identifier.value if given.identifier else ''}"


def _specimen(graph: Graph, given: Specimen) -> Json:
    about = TESTED.get(given.tested_subject)
    return terms.put(
        terms.resource("Specimen"),
        {
            "identifier": [terms.identifier(given.identifier)] if given.identifier else None,
            "type": terms.codeable(given.type),
            "subject": terms.reference(graph.subject),
            "receivedTime": given.received,
            "collection": {"collectedDateTime": given.collected} if given.collected else None,
            "note": [{"text": f"Tested material: {about}."}] if about else None,
        },
    )


def _answer(graph: Graph, given: Result, request: Request) -> Json:
    value = value_of(given)
    kinds, code = _kinds(given, value)
    return terms.put(
        terms.resource("Observation"),
        {
            "status": given.status,
            "category": [terms.concept(terms.OBSERVATION_CATEGORY, kind) for kind in kinds],
            "code": terms.codeable(code),
            "subject": terms.reference(graph.subject),
            "effectiveDateTime": given.effective or request.order.requested,
            **value,
            "dataAbsentReason": None if value else terms.codeable(given.absent),
            "note": [{"text": text} for text in given.notes if text],
        },
    )


def _kinds(given: Result, value: Json) -> tuple[tuple[str, ...], Code]:
    """Return the categories of an answer, and its question without a code it cannot live up to."""
    units = _VITAL_SIGNS.get(given.code.code) if given.code.system == terms.LOINC else None
    if units is None:
        return ("survey",), given.code
    if value.get("valueQuantity", {}).get("code") in units:
        return ("survey", "vital-signs"), given.code
    return ("survey",), Code(given.code.text or given.code.display)
