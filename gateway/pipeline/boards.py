"""Who has to do with a report, an order or a patient: filed beside it, for access to look at.

Organisations count by code alone, words name nobody. Which boards an organisation belongs to on
the day of the report is for the policy to say; the organisation itself always counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.access.access import LABELS
from gateway.access.policy import Policy
from gateway.report import Order, Organization, Report
from gateway.store import relationships
from gateway.store.database import Connection
from gateway.store.relationships import Party

_FILED = ("laboratory", "requesting")


def label_of(report: Report, before: str = "") -> str:
    """Return the confidentiality that a report states, else what it had before, else normal.

    A code nobody knows is the most confidential one.
    """
    said = report.document.confidentiality if report.document else ""
    if said and said not in LABELS:
        return LABELS[-1]
    return said or before or "N"


def relate_report(
    connection: Connection,
    policy: Policy,
    report: Report,
    patient_key: int,
    report_key: int,
    ordered: str | None,
    now: int,
) -> None:
    """Note the laboratory of a report and who requested it; its order is the laboratory's too."""
    day = _day(report.issued or report.clock, now)
    laboratory = list(_parties(policy, "laboratory", report.laboratory, day))
    found = [*laboratory, *_parties(policy, "requesting", report.order.requester, day)]
    relationships.settle(connection, patient_key, _FILED, found, now, report_key)
    if ordered:
        owner = relationships.order_of_request(connection, ordered.partition("/")[2])
        if owner is not None:
            relationships.relate(connection, patient_key, laboratory, now, owner)


def relate_order(
    connection: Connection, policy: Policy, order: Order, patient_key: int, owner: int, now: int
) -> None:
    """Note who placed an order; nothing is taken back when a later message does not say it."""
    day = _day(order.requested, now)
    found = list(_parties(policy, "requesting", order.requester, day))
    if found:
        relationships.settle(connection, patient_key, ("requesting",), found, now, owner)


def relate_patient(connection: Connection, policy: Policy, reference: str, now: int) -> None:
    """Note the board where a patient lives, as far as the policy knows postcodes."""
    if not policy.postcodes:
        return
    found = relationships.postcode_of(connection, reference.partition("/")[2])
    if found:
        board = policy.residence(found[1])
        parties = [Party("residence", board)] if board else []
        relationships.settle(connection, found[0], ("residence",), parties, now)


def _parties(
    policy: Policy, meaning: str, organisation: Organization | None, day: str
) -> Iterator[Party]:
    one = organisation.identifier if organisation else None
    if one and one.value:
        for code in policy.parties_of(f"{one.system}|{one.value}", day):
            yield Party(meaning, code)


def _day(said: str, now: int) -> str:
    return said[:10] or datetime.fromtimestamp(now / 1e6, UTC).date().isoformat()
