"""One row per order: who placed it under which number, whose it is, and its ServiceRequest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text, update

from gateway.errors import Hold, IdentityHold
from gateway.store.tables import placed_order

_ADD = text(
    "INSERT INTO placed_order (organisation, number, patient_key, request_id, status, clock,"
    " sent_at) VALUES (:organisation, :number, :patient_key, :request_id, '', 0, 0)"
    " ON CONFLICT (organisation, number) DO NOTHING"
)
_CODED = "|"


@dataclass(frozen=True, slots=True)
class Placed:
    """What is known of one order; `ordered` once an order message described it."""

    key: int
    organisation: str
    number: str
    patient_key: int
    request_id: str
    ordered: bool
    status: str
    answered: bool
    clock: int
    sent_at: int
    record_class: str


def find(connection: Connection, organisation: str, number: str, patient_key: int) -> Placed | None:
    """Return the order of this organisation and number, locked, or None.

    A number counts within its organisation. Where one side does not name it by a code, an order
    of the same number and patient is the same one if there is just one. Raises IdentityHold when
    the order is another patient's.
    """
    columns = [placed_order.c[name] for name in Placed.__slots__]
    query = select(*columns).where(placed_order.c.number == number).order_by(placed_order.c.key)
    rows = [Placed(*row) for row in connection.execute(query.with_for_update())]
    for one in rows:
        if one.organisation == organisation:
            if one.patient_key == patient_key:
                return one
            raise IdentityHold(
                Hold.REPORT_ORDER, "this order number belongs to another patient", where="ORC-2"
            )
    similar = [one for one in rows if one.patient_key == patient_key]
    if organisation.count(_CODED):
        similar = [one for one in similar if _CODED not in one.organisation]
    return similar[0] if len(similar) == 1 else None


def place(
    connection: Connection, organisation: str, number: str, patient_key: int, request_id: str
) -> Placed:
    """Return the row of an order, made if need be, locked until the transaction ends."""
    values = {"organisation": organisation, "number": number, "patient_key": patient_key}
    connection.execute(_ADD, {**values, "request_id": request_id})
    found = find(connection, organisation, number, patient_key)
    if found is None:
        raise LookupError(organisation)
    return found


def by_request(connection: Connection, request_id: str) -> Placed:
    """Return the order whose ServiceRequest this is, locked."""
    columns = [placed_order.c[name] for name in Placed.__slots__]
    query = select(*columns).where(placed_order.c.request_id == request_id)
    return Placed(*connection.execute(query.with_for_update()).one())


def change(connection: Connection, key: int, values: Mapping[str, Any]) -> None:
    """Set columns of one order."""
    connection.execute(update(placed_order).where(placed_order.c.key == key).values(**values))
