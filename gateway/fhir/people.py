"""Patient, organisations and practitioners (domain.md 3.1, 3.2).

An organisation or person becomes a resource of its own only with an identifier that is unique
beyond its sender (system and value). Otherwise two people of one name would become one: then
the reference itself says all that is known.
"""

from __future__ import annotations

from typing import TypeGuard

from gateway.fhir import terms
from gateway.fhir.composed import Context, Graph
from gateway.fhir.terms import Json
from gateway.report import Identifier, Organization, Patient, PersonName, Practitioner

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def patient(given: Patient, context: Context) -> Json:
    """Compose the Patient; identifiers carry the systems that were resolved.

    Earlier names, families and the ethnic category are in the index and not here.
    """
    content = terms.put(
        terms.resource("Patient"),
        {
            "identifier": [
                terms.identifier(one, _identifier_type(one, context)) for one in given.identifiers
            ],
            "active": False if given.replaced_by else None,
            "name": _names(given.name),
            "gender": given.sex,
            "birthDate": given.birth_date,
            "address": _address(given),
            "link": _links(given),
        },
    )
    if given.confidentiality:
        content["meta"] = {"security": [terms.coding(_CONFIDENTIALITY, given.confidentiality)]}
    if given.multiple_birth.isdigit():
        content["multipleBirthInteger"] = int(given.multiple_birth)
    elif given.multiple_birth:
        content["multipleBirthBoolean"] = given.multiple_birth == "true"
    if given.deceased in ("true", "false"):
        content["deceasedBoolean"] = given.deceased == "true"
    elif given.deceased:
        content["deceasedDateTime"] = given.deceased
    return content


def _address(given: Patient) -> list[Json]:
    since = {"start": given.address_since} if given.address_since else None
    return (
        [terms.put({}, {"postalCode": given.postcode, "period": since})] if given.postcode else []
    )


def _links(given: Patient) -> list[Json]:
    """Say whom a patient was merged with, and which records are of the same person (R4)."""
    made = [("replaced-by", given.replaced_by)] if given.replaced_by else []
    made += [("replaces", target) for target in given.replaces]
    made += [("seealso", target) for target in given.see_also]
    return [{"other": terms.reference(target), "type": type_} for type_, target in made]


def organization(graph: Graph, given: Organization | None) -> Json:
    """Add an organisation and return a Reference to it; empty when nothing is known."""
    if given is None:
        return {}
    if not _unique(given.identifier):
        return _logical("Organization", given.identifier, given.name)
    content = terms.put(
        terms.resource("Organization"),
        {"identifier": [terms.identifier(given.identifier)], "name": given.name},
    )
    role = f"organization:{_key(given.identifier)}"
    return _named(graph.add("Organization", role, content), given.name)


def practitioner(graph: Graph, given: Practitioner | None) -> Json:
    """Add a practitioner and return a Reference to them; empty when nothing is known."""
    if given is None:
        return {}
    name = terms.full_name(given.name)
    if not _unique(given.identifier):
        return _logical("Practitioner", given.identifier, name)
    content = terms.put(
        terms.resource("Practitioner"),
        {
            "identifier": [terms.identifier(given.identifier)],
            "name": _names(given.name),
        },
    )
    role = f"practitioner:{_key(given.identifier)}"
    return _named(graph.add("Practitioner", role, content), name)


def requester(graph: Graph, team: Organization | None, person: Practitioner | None) -> Json:
    """Add who asked for the test; a person of a team is a PractitionerRole (R4 has one place)."""
    organization_reference = organization(graph, team)
    person_reference = practitioner(graph, person)
    if not (organization_reference and person_reference):
        return organization_reference or person_reference
    if team and person and _unique(team.identifier) and _unique(person.identifier):
        content = terms.resource("PractitionerRole")
        content["practitioner"] = person_reference
        content["organization"] = organization_reference
        role = f"requester:{_key(person.identifier)}|{_key(team.identifier)}"
        return terms.reference(graph.add("PractitionerRole", role, content))
    # Without identifiers for both, a shared role would join different people: name them here.
    both = (person_reference, organization_reference)
    literal = next((one for one in both if "reference" in one), person_reference)
    shown = ", ".join(one["display"] for one in both if "display" in one)
    return literal | terms.put({}, {"display": shown})


def _identifier_type(given: Identifier, context: Context) -> str:
    national = (context.chi_system, terms.NHS_NUMBER, terms.HSC_NUMBER)
    return "NH" if given.system in national else "MR"


def _names(name: PersonName) -> list[Json]:
    made = terms.human_name(name)
    return [made] if made else []


def _unique(given: Identifier | None) -> TypeGuard[Identifier]:
    return bool(given and given.system and given.value)


def _key(given: Identifier) -> str:
    return f"{given.system}|{given.value}"


def _named(target: str, name: str) -> Json:
    return terms.put({"reference": target}, {"display": name})


def _logical(type_: str, given: Identifier | None, name: str) -> Json:
    made = terms.put(
        {},
        {
            "identifier": terms.identifier(given) if given and given.value else None,
            "display": name,
        },
    )
    return {"type": type_, **made} if made else {}
