"""Who may read: grants, clients, tokens."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    String,
    Table,
    Text,
    true,
)

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

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", Text, nullable=False, comment="the most it may ask for"),
    Column("jwks", Text, nullable=False, default="", comment="public keys, JSON"),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Instant, nullable=False),
)

oauth_token = Table(
    "oauth_token",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of the opaque token"),
    Column("client_id", ForeignKey("oauth_client.id"), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("revoked_at", Instant, index=True, comment="the newest is polled by every process"),
)

oauth_assertion = Table(
    "oauth_assertion",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="client assertions already used: once only, until they expire",
)

secret = Table(
    "secret",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String(64), nullable=False, comment="random, hexadecimal"),
    comment="keys that every process of one installation shares",
)
