"""Who may read: relationships and grants."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, false

from gateway.store.tables.columns import Instant, Key, metadata, new_key

relationship = Table(
    "relationship",
    metadata,
    new_key(),
    Column("patient_key", ForeignKey("patient.key"), nullable=False),
    Column("owner", Key, nullable=False, server_default="0",
           comment="as of resource: a report, an order, or 0 for all of the patient"),
    Column("meaning", String, nullable=False,
           comment="residence, requesting, treating, laboratory"),
    Column("party", String, nullable=False, comment="code of a board, team or organisation"),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False, comment="first instant it holds no longer"),
    Index("ix_relationship_patient", "patient_key", "party"),
    Index("ix_relationship_owner", "owner"),
    comment="which boards and teams have to do with a patient or a report, and as what",
)  # fmt: skip

access_grant = Table(
    "access_grant",
    metadata,
    new_key(),
    Column("grantee", String, nullable=False, index=True),
    Column("patient_key", ForeignKey("patient.key")),
    Column("report_key", ForeignKey("report.key")),
    Column("reason", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("kind", String, nullable=False, server_default="grant", comment="grant, break-glass"),
    Column("restricted", Boolean, nullable=False, server_default=false(),
           comment="opens restricted rows too"),
    Column("given_by", String, nullable=False, server_default=""),
    Column("given_at", Instant, nullable=False, server_default="0"),
    Column("ended_by", String, nullable=False, server_default="", comment="who revoked it"),
    Column("ended_why", String, nullable=False, server_default=""),
    Column("reviewed_by", String, nullable=False, server_default="",
           comment="who looked into a break-glass"),
    Index("ix_access_grant_patient", "patient_key", "grantee"),
)  # fmt: skip
