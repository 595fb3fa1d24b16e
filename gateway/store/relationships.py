"""Relationships: which boards, teams and organisations have to do with whom, and as what.

`owner` is a report key, minus an order key, or 0 for all of the patient. Every function belongs
in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from gateway.store.dates import LAST
from gateway.store.tables import patient, placed_order, relationship

_it = relationship.c


class Party(NamedTuple):
    """A board, team or organisation, and what it is (a meaning of the policy)."""

    meaning: str
    code: str


def relate(
    connection: Connection,
    patient_key: int,
    parties: Iterable[Party],
    now: int,
    owner: int = 0,
    until: int = LAST,
) -> None:
    """Add relationships that do not hold yet; one that has ended begins again."""
    wanted = dict.fromkeys(parties)
    live = _live(connection, patient_key, owner, now)
    added = [one for one in wanted if one not in live]
    if added:
        rows = [
            {"patient_key": patient_key, "owner": owner, "meaning": one.meaning,
             "party": one.code, "since": now, "until": until}
            for one in added
        ]  # fmt: skip
        connection.execute(insert(relationship), rows)


def settle(
    connection: Connection,
    patient_key: int,
    meanings: Collection[str],
    parties: Iterable[Party],
    now: int,
    owner: int = 0,
) -> None:
    """Make `parties` the only ones of these meanings: others end now, new ones begin."""
    wanted = set(parties)
    live = _live(connection, patient_key, owner, now)
    ended = [one for one in live if one.meaning in meanings and one not in wanted]
    if ended:
        end(connection, patient_key, ended, now, owner)
    if wanted - live:
        relate(connection, patient_key, sorted(wanted - live), now, owner)


def end(
    connection: Connection, patient_key: int, parties: Iterable[Party], now: int, owner: int = 0
) -> int:
    """End relationships that hold; returns how many did."""
    these = or_(*(and_(_it.meaning == one.meaning, _it.party == one.code) for one in parties))
    query = update(relationship).where(_of(patient_key, owner), these, _it.until > now)
    return connection.execute(query.values(until=now)).rowcount


def order_of_request(connection: Connection, request_id: str) -> int | None:
    """Return the owner of what belongs to the order of a ServiceRequest."""
    query = select(-placed_order.c.key).where(placed_order.c.request_id == request_id)
    return connection.execute(query).scalar()


def postcode_of(connection: Connection, patient_id: str) -> tuple[int, str] | None:
    """Return key and postcode of a patient by FHIR id."""
    query = select(patient.c.key, patient.c.postcode).where(patient.c.id == patient_id)
    row = connection.execute(query).first()
    return (row.key, row.postcode) if row else None


def _live(connection: Connection, patient_key: int, owner: int, now: int) -> set[Party]:
    query = select(_it.meaning, _it.party).where(_of(patient_key, owner), _it.until > now)
    return {Party(*row) for row in connection.execute(query)}


def _of(patient_key: int, owner: int) -> ColumnElement[bool]:
    return and_(_it.patient_key == patient_key, _it.owner == owner)
