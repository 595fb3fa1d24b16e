"""Who signs in: people, their roles, local accounts, sessions of browsers, failed attempts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    true,
)

from gateway.store.tables.columns import Instant, metadata, new_key

person = Table(
    "person",
    metadata,
    new_key(),
    Column("id", String(36), nullable=False, unique=True, comment="random"),
    Column("issuer", String, nullable=False, comment="who vouches; `local` for our own accounts"),
    Column("subject", String, nullable=False, comment="the issuer's key, or the name to sign in"),
    Column("name", String, nullable=False, comment="as shown to others"),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("issuer", "subject"),
)

person_role = Table(
    "person_role",
    metadata,
    Column("person_key", ForeignKey("person.key"), primary_key=True),
    Column("role", String, primary_key=True),
    Column("board", String, primary_key=True, comment="code of a health board; empty: none"),
    Column("team", String, primary_key=True, comment="empty: none"),
    Column("origin", String, primary_key=True,
           comment="given by an administrator, or mapped from the issuer at each sign-in"),
    comment="what a person may be here",
)  # fmt: skip

local_account = Table(
    "local_account",
    metadata,
    Column("person_key", ForeignKey("person.key"), primary_key=True),
    Column("password", String, nullable=False, comment="Argon2id"),
    Column("totp", LargeBinary, comment="sealed secret of the authenticator; null: none"),
    Column("totp_step", BigInteger, nullable=False, server_default="0",
           comment="the newest step that was used: a code works once"),
    Column("changed_at", Instant, nullable=False),
    comment="accounts of the gateway itself",
)  # fmt: skip

web_session = Table(
    "web_session",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of what the cookie holds"),
    Column("person_key", ForeignKey("person.key"), nullable=False, index=True),
    Column("methods", String, nullable=False, comment="amr of the sign-in, space separated"),
    Column("authenticated_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="browsers that are signed in",
)

sign_in_step = Table(
    "sign_in_step",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of what the cookie holds"),
    Column("content", LargeBinary, nullable=False, comment="sealed"),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="sign-ins half done: between password and code, or at the upstream provider",
)

sign_in_attempt = Table(
    "sign_in_attempt",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of account or address"),
    Column("failures", Integer, nullable=False),
    Column("blocked_until", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True, comment="then it is forgotten"),
    comment="failed attempts, counted by all processes together",
)
