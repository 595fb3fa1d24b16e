"""Reports that come as documents (MDM): which report they are of, and which of them stand.

The result message of a report outranks documents of it: a document that comes beside one is
filed as a DocumentReference and leaves the findings alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.errors import Hold, IdentityHold
from gateway.fhir.composed import SHARED, Composed
from gateway.fhir.document_reference import TYPE, document_role
from gateway.report import Report
from gateway.store import reports
from gateway.store.database import Connection
from gateway.store.reports import Identities
from gateway.store.resources import NewVersion, save

_BESIDE = SHARED | {TYPE, "Binary", "Provenance"}


def belonging(connection: Connection, report: Report, laboratory: str) -> Report:
    """Give a replacement without an order number the report of the document it replaces.

    Raises IdentityHold when that document has not come.
    """
    parent = report.document.parent if report.document else None
    if parent is None or report.number.value != parent.value:
        return report
    number = reports.number_of(connection, laboratory, document_role(parent))
    if number is None:
        raise IdentityHold(
            Hold.REPORT_UNKNOWN, "the document that is replaced has not come yet",
            where=parent.place,
        )  # fmt: skip
    return replace(report, number=replace(report.number, value=number))


def replaced(connection: Connection, report: Report, ids: Identities) -> str:
    """Return the reference of the document that this one replaces, where it was filed."""
    parent = report.document.parent if report.document else None
    known = ids.known.get(document_role(parent)) if parent else None
    if known is None or reports.current(connection, *known) is None:
        return ""
    return f"{TYPE}/{known[1]}"


def beside(made: tuple[Composed, ...]) -> tuple[Composed, ...]:
    """Keep of a composed document what may stand beside the published report."""
    kept = [one for one in made if one.type in _BESIDE]
    names = {f"{one.type}/{one.resource['id']}" for one in kept}
    return tuple(replace(one, resource=_about(one.resource, names)) for one in kept)


def _about(content: dict[str, Any], names: set[str]) -> dict[str, Any]:
    if content["resourceType"] != "Provenance":
        return content
    return {**content, "target": [one for one in content["target"] if one["reference"] in names]}


def settle(
    connection: Connection, ids: Identities, patient_key: int, record_class: str, now: int
) -> None:
    """Mark as superseded every document of a report that another one replaces."""
    documents = {
        id_: content
        for type_, id_ in ids.known.values()
        if type_ == TYPE and (content := reports.current(connection, type_, id_))
    }
    gone = {
        relation["target"]["identifier"]["value"]
        for content in documents.values()
        if content["status"] == "current"
        for relation in content.get("relatesTo", ())
    }
    versions = [
        NewVersion(TYPE, id_, {**content, "status": "superseded"}, patient_key, record_class)
        for id_, content in documents.items()
        if content["status"] == "current"
        and any(one["value"] in gone for one in content.get("identifier", ()))
    ]
    save(connection, versions, now)
