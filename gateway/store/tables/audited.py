"""Audit: the segments of the journals, the chain of seals over them, and their index."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from gateway.store.tables.columns import Instant, Key, metadata, new_key

audit_segment = Table(
    "audit_segment",
    metadata,
    new_key(),
    Column("name", String(64), nullable=False, unique=True, comment="its file, without .ndjson"),
    Column("host", String, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("sealed", BigInteger, nullable=False, server_default="0", comment="bytes under seals"),
    Column("lines", BigInteger, nullable=False, server_default="0", comment="lines under seals"),
    Column("head", String(64), nullable=False, comment="digest of the last line under a seal"),
    Column("purged_at", Instant, comment="its file was removed by the retention rule"),
    comment="files of the journals, announced by the process that writes them",
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=False, comment="1, 2, 3: no gap"),
    Column("kind", String, nullable=False, comment="lines, purge"),
    Column("segment_key", ForeignKey("audit_segment.key"), nullable=False, index=True),
    Column("low", BigInteger, nullable=False, comment="first byte"),
    Column("high", BigInteger, nullable=False, comment="first byte no longer meant"),
    Column("lines", Integer, nullable=False),
    Column("digest", String(64), nullable=False, comment="SHA-256 of these bytes"),
    Column("previous", String(64), nullable=False, comment="seal of the number before"),
    Column("at", Instant, nullable=False),
    Column("keyed", Boolean, nullable=False, server_default=false()),
    Column("seal", String(64), nullable=False, comment="SHA-256, or HMAC, of all of the above"),
    comment="the chain over all journals; never changed",
)

audit_entry = Table(
    "audit_entry",
    metadata,
    new_key(),
    Column("segment_key", ForeignKey("audit_segment.key"), nullable=False),
    Column("low", BigInteger, nullable=False, comment="where its line begins"),
    Column("size", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("client", String, nullable=False),
    Column("person", String, nullable=False),
    Column("interaction", String, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Integer, nullable=False),
    UniqueConstraint("segment_key", "low"),
    Index("ix_audit_entry_at", "at", "key"),
    Index("ix_audit_entry_client", "client", "at", "key"),
    Index("ix_audit_entry_person", "person", "at", "key"),
    comment="one line of a journal under a seal",
)

audit_patient = Table(
    "audit_patient",
    metadata,
    Column("patient_key", ForeignKey("patient.key"), primary_key=True,
           comment="as it was when sealed; merges are followed when asked"),
    Column("at", Instant, primary_key=True),
    Column("entry_key", ForeignKey("audit_entry.key"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)  # fmt: skip

audit_resource = Table(
    "audit_resource",
    metadata,
    Column("resource_key", ForeignKey("resource.key"), primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("entry_key", ForeignKey("audit_entry.key"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)
