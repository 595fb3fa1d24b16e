"""From a merge of patients to their FHIR resources (R4 Patient.link; ingest rule 3.5)."""

from __future__ import annotations

from dataclasses import replace

from gateway.fhir import people
from gateway.fhir.composed import Composed, Context, Graph, Ids
from gateway.fhir.document import add_provenance
from gateway.report import Patient

SURVIVOR, SUBSUMED = "Patient", "Patient:subsumed"


def compose_merge(
    survivor: Patient, subsumed: Patient, ids: Ids, context: Context
) -> tuple[Composed, ...]:
    """Compose the patient that stays, the one that is no longer active, and the Provenance."""
    graph = Graph(ids, context)
    here, gone = graph.reference("Patient", SURVIVOR), graph.reference("Patient", SUBSUMED)
    replaces = tuple(dict.fromkeys((*survivor.replaces, gone)))
    graph.add("Patient", SURVIVOR, people.patient(replace(survivor, replaces=replaces), context))
    ended = replace(subsumed, replaced_by=here)
    graph.add("Patient", SUBSUMED, people.patient(ended, context))
    add_provenance(graph)
    return tuple(graph.made)


def compose_patient(patient: Patient, ids: Ids, context: Context) -> tuple[Composed, ...]:
    """Compose a patient whose merge was undone, and the Provenance."""
    graph = Graph(ids, context)
    graph.add("Patient", SURVIVOR, people.patient(patient, context))
    add_provenance(graph)
    return tuple(graph.made)
