"""Who the patients are."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
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
    Column("merged_into", ForeignKey("patient.key"), index=True),
    Column("clock", Instant, nullable=False, comment="of the newest demographics applied"),
    Column("changed_at", Instant, nullable=False),
    Column("source", String, nullable=False, server_default="", comment="who said the newest"),
    Column("family_letters", String, nullable=False, server_default="", index=True,
           comment="the family name as matching reads it"),
    Column("other_names", Text, nullable=False, server_default="[]",
           comment="JSON names beside the first: maiden names, aliases"),
    Column("multiple_birth", String, nullable=False, server_default="",
           comment="false, true, or the number of the birth"),
    Column("address_since", String(10), nullable=False, server_default=""),
    Column("ethnic_category", String, nullable=False, server_default=""),
    Column("ethnic_source", String, nullable=False, server_default=""),
    Column("ethnic_at", Instant, comment="when the source said so"),
    Column("confidentiality", String, nullable=False, server_default="",
           comment="v3-Confidentiality code"),
    Column("provisional", Boolean, nullable=False, server_default=false(),
           comment="no national number yet"),
    Index("ix_patient_birth_date", "birth_date"),
)  # fmt: skip

patient_history = Table(
    "patient_history",
    metadata,
    new_key(),
    Column("patient_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("family", String, nullable=False),
    Column("given", String, nullable=False),
    Column("birth_date", String(10), nullable=False),
    Column("sex", String, nullable=False),
    Column("postcode", String, nullable=False),
    Column("address_since", String(10), nullable=False),
    Column("deceased", String, nullable=False),
    Column("source", String, nullable=False),
    Column("clock", Instant, nullable=False, comment="from when they stood, by their source"),
    Column("until", Instant, nullable=False, comment="when they were replaced here"),
    comment="demographics that stood before",
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
    Column("restricted", Boolean, nullable=False, server_default=false(),
           comment="leads to the patient when filing, and is shown to nobody"),
    UniqueConstraint("system", "value"),
)  # fmt: skip

patient_merge = Table(
    "patient_merge",
    metadata,
    new_key(),
    Column("subsumed_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("survivor_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("part_key", ForeignKey("part.key"), nullable=False, comment="whose message said so"),
    Column("merged_at", Instant, nullable=False),
    Column("undone_at", Instant, comment="set by the undo, which is this one row"),
    Column("restricted", Boolean, nullable=False, server_default=false(),
           comment="not told in Patient.link"),
    comment="which patients were found to be one person",
)  # fmt: skip

patient_merge_moved = Table(
    "patient_merge_moved",
    metadata,
    Column("merge_key", ForeignKey("patient_merge.key"), primary_key=True),
    Column("kind", String, primary_key=True, comment="the table of the row that was re-pointed"),
    Column("row_key", Key, primary_key=True),
    comment="what a merge re-pointed, so that its undo takes back just that",
)

patient_link = Table(
    "patient_link",
    metadata,
    new_key(),
    Column("one_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("other_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("part_key", ForeignKey("part.key"), nullable=False, comment="whose message said so"),
    Column("since", Instant, nullable=False),
    Column("ended_at", Instant),
    comment="records of one person that stay two records (A24): see also",
)

patient_relative = Table(
    "patient_relative",
    metadata,
    new_key(),
    Column("patient_key", ForeignKey("patient.key"), nullable=False),
    Column("relative_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("relation", String, nullable=False, comment="what the relative is to the patient"),
    Column("source", String, nullable=False),
    Column("since", Instant, nullable=False),
    UniqueConstraint("patient_key", "relative_key", "relation"),
    comment="families; never told in Patient.link",
)

identity_decision = Table(
    "identity_decision",
    metadata,
    new_key(),
    Column("part_key", ForeignKey("part.key"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("outcome", String, nullable=False, comment="match, hold, create"),
    Column("reason", String, nullable=False, comment="gateway.errors.Hold"),
    Column("patient_key", ForeignKey("patient.key"), index=True),
    Column(
        "evidence", Text, nullable=False, comment="JSON: each rule, and agree, differ or absent"
    ),
    comment="who a report was taken to be about, and what spoke for and against it",
)

patient_decision = Table(
    "patient_decision",
    metadata,
    new_key(),
    Column("patient_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False, comment="number, restrict"),
    Column("reason", String, nullable=False),
    comment="what a named person decided about a patient, and why; never changed",
)

report_refile = Table(
    "report_refile",
    metadata,
    new_key(),
    Column("report_key", ForeignKey("report.key"), nullable=False, index=True),
    Column("from_key", ForeignKey("patient.key"), nullable=False),
    Column("to_key", ForeignKey("patient.key"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("readers", Text, nullable=False, comment="JSON: who had read it on the wrong patient"),
    comment="reports that were filed on the wrong patient and moved by a named person",
)
