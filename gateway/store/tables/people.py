"""Who the patients are."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    String,
    Table,
    UniqueConstraint,
)

from gateway.store.tables.columns import Instant, Key, metadata, new_key

patient = Table(
    "patient",
    metadata,
    new_key(),
    Column("id", String(36), nullable=False, unique=True, comment="FHIR id, random"),
    Column("family", String, nullable=False),
    Column("given", String, nullable=False, comment="space separated"),
    Column("birth_date", String(10), nullable=False),
    Column("sex", String, nullable=False),
    Column("postcode", String, nullable=False, default=""),
    Column("deceased", String, nullable=False, default=""),
    Column("record_class", String, nullable=False, default="nhs"),
    Column("merged_into", ForeignKey("patient.key")),
    Column("clock", Instant, nullable=False, comment="of the newest demographics applied"),
    Column("changed_at", Instant, nullable=False),
)

patient_identifier = Table(
    "patient_identifier",
    metadata,
    new_key(),
    Column("system", String, nullable=False),
    Column("value", String, nullable=False),
    Column("patient_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("state", String, nullable=False, default="current", comment="current, retired"),
    Column("source", String, nullable=False),
    Column("since", Instant, nullable=False),
    UniqueConstraint("system", "value"),
)

patient_merge = Table(
    "patient_merge",
    metadata,
    new_key(),
    Column("subsumed_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("survivor_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("part_key", ForeignKey("part.key"), nullable=False, comment="whose message said so"),
    Column("merged_at", Instant, nullable=False),
    Column("undone_at", Instant, comment="set by the undo, which is this one row"),
    comment="which patients were found to be one person",
)

patient_merge_moved = Table(
    "patient_merge_moved",
    metadata,
    Column("merge_key", ForeignKey("patient_merge.key"), primary_key=True),
    Column("kind", String, primary_key=True, comment="the table of the row that was re-pointed"),
    Column("row_key", Key, primary_key=True),
    comment="what a merge re-pointed, so that its undo takes back just that",
)
