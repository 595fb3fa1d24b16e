"""Who is whose relative. These edges are never told in `Patient.link`, which is of one person."""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from gateway.store.patients import Said
from gateway.store.tables import patient_relative

_ADD = text(
    "INSERT INTO patient_relative (patient_key, relative_key, relation, source, since)"
    " VALUES (:patient, :relative, :relation, :source, :since)"
    " ON CONFLICT (patient_key, relative_key, relation) DO NOTHING"
)


def relate(connection: Connection, key: int, relative: int, relation: str, said: Said) -> None:
    """Note what `relative` is to the patient; said again, it changes nothing."""
    values = {"patient": key, "relative": relative, "relation": relation}
    connection.execute(_ADD, {**values, "source": said.source, "since": said.clock})


def relatives(connection: Connection, key: int) -> list[tuple[int, str]]:
    """Return the relatives of a patient: key, and what each is to the patient."""
    edge = patient_relative.c
    query = select(edge.relative_key, edge.relation).where(edge.patient_key == key)
    return [(int(found), relation) for found, relation in connection.execute(query)]
