"""Clients, what people allowed them, and the digests of what they hold."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, String, Table, Text, false, true

from gateway.store.tables.columns import Instant, metadata

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", Text, nullable=False, comment="the most it may ask for"),
    Column("jwks", Text, nullable=False, default="", comment="public keys, JSON"),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Instant, nullable=False),
    Column("kind", String, nullable=False, server_default="asymmetric",
           comment="public, symmetric, asymmetric: how it proves who it is"),
    Column("jwks_uri", String, nullable=False, server_default=""),
    Column("secret_digest", String(64), nullable=False, server_default=""),
    Column("grant_types", String, nullable=False, server_default="client_credentials"),
    Column("redirect_uris", Text, nullable=False, server_default="", comment="space separated"),
    Column("launch_url", String, nullable=False, server_default=""),
    Column("boards", String, nullable=False, server_default="", comment="codes, space separated"),
    Column("owner", String, nullable=False, server_default="", comment="who operates it"),
    Column("dpop", Boolean, nullable=False, server_default=false(),
           comment="its tokens are always bound to a key"),
    Column("registered_by", String, nullable=False, server_default="",
           comment="empty: an administrator; else who registered it over HTTP"),
)  # fmt: skip

oauth_authorization = Table(
    "oauth_authorization",
    metadata,
    Column("id", String, primary_key=True, comment="random: the family of its tokens"),
    Column("client_id", ForeignKey("oauth_client.id"), nullable=False, index=True),
    Column("person", String, nullable=False, index=True, comment="Person.id"),
    Column("scope", Text, nullable=False, comment="what the person granted"),
    Column("context", Text, nullable=False, comment="JSON: launch context of the token answer"),
    Column("nonce", String, nullable=False, comment="of OpenID Connect; may be empty"),
    Column("methods", String, nullable=False, comment="amr of the sign-in, space separated"),
    Column("authenticated_at", Instant, nullable=False),
    Column("key_thumbprint", String, nullable=False, comment="DPoP key it is bound to, or empty"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True, comment="no token lives longer"),
    Column("revoked_at", Instant),
    comment="what a person allowed a client; a code, refresh and access tokens descend from it",
)

oauth_code = Table(
    "oauth_code",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("authorization_id", ForeignKey("oauth_authorization.id"), nullable=False, index=True),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", String, nullable=False, comment="S256"),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    comment="authorization codes, good once",
)

oauth_refresh = Table(
    "oauth_refresh",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("authorization_id", ForeignKey("oauth_authorization.id"), nullable=False, index=True),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    comment="refresh tokens, good once: using one gives the next",
)

oauth_launch = Table(
    "oauth_launch",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("client_id", ForeignKey("oauth_client.id"), nullable=False, index=True,
           comment="the app that may use it"),
    Column("person", String, nullable=False, comment="Person.id; empty: whoever signs in"),
    Column("context", Text, nullable=False, comment="JSON: patient, encounter, intent …"),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("used_at", Instant),
    comment="launch handles that an EHR asked for, good once",
)  # fmt: skip

oauth_token = Table(
    "oauth_token",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of the opaque token"),
    Column("client_id", ForeignKey("oauth_client.id"), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("revoked_at", Instant, index=True, comment="the newest is polled by every process"),
    Column("authorization_id", ForeignKey("oauth_authorization.id"), index=True,
           comment="null: the client speaks for itself"),
    Column("key_thumbprint", String, nullable=False, server_default="",
           comment="DPoP key it is bound to"),
)  # fmt: skip

oauth_assertion = Table(
    "oauth_assertion",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="client assertions already used: once only, until they expire",
)
