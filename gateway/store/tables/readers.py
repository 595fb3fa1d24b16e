"""Who may read: grants."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

from gateway.store.tables.columns import Instant, metadata, new_key

access_grant = Table(
    "access_grant",
    metadata,
    new_key(),
    Column("grantee", String, nullable=False, index=True),
    Column("patient_key", ForeignKey("patient.key")),
    Column("report_key", ForeignKey("report.key")),
    Column("reason", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
