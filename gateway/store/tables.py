"""Every table, as SQLAlchemy Core; SQLite and PostgreSQL alike.

Instants are integers: microseconds since 1970 UTC. Clinical rows carry a `patient_key`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only auto-numbers a column whose type is exactly INTEGER.
Key = BigInteger().with_variant(Integer(), "sqlite")
Instant = BigInteger()


def _key() -> Column[int]:
    return Column("key", Key, primary_key=True, autoincrement=True)


# -- what arrived ---------------------------------------------------------------------------

message = Table(
    "message",
    metadata,
    _key(),
    Column("received_at", Instant, nullable=False),
    Column("source", String, nullable=False, comment="identity of the connection"),
    Column("sender", String, nullable=False, comment="mapping folder, or empty"),
    Column("sending_application", String, nullable=False),
    Column("sending_facility", String, nullable=False),
    Column("control_id", String, nullable=False),
    Column("type", String, nullable=False, comment="ORU^R01"),
    Column("charset", String, nullable=False, default="", comment="of HTTP: wins over MSH-18"),
    Column("dedupe_key", String(64), unique=True, comment="null when it cannot repeat"),
    Column("raw", LargeBinary, nullable=False, comment="the bytes, never altered"),
    Column("answer", String(2), nullable=False, comment="AA, AE, AR"),
    Column("reply", LargeBinary, nullable=False, comment="the acknowledgement, sent again"),
    Column("state", String, nullable=False, comment="accepted, rejected, duplicate"),
    Column("reason", String, nullable=False, default=""),
    Column("duplicate_of", ForeignKey("message.key")),
    Column("control_id_reused", Boolean, nullable=False, server_default=false()),
    Index("ix_message_control", "source", "control_id"),
    Index("ix_message_received", "received_at"),
)

part = Table(
    "part",
    metadata,
    _key(),
    Column("message_key", ForeignKey("message.key"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("lane", String, nullable=False),
    Column("state", String, nullable=False, comment="received, waiting, filed, held, rejected"),
    Column("reason", String, nullable=False, default="", comment="gateway.errors.Hold"),
    Column("awaits", String, comment="laboratory and number of the report that releases it"),
    Column("detail", Text, nullable=False, default="[]", comment="JSON notices: place and text"),
    Column("account", Text, nullable=False, default="[]", comment="JSON account of values"),
    Column("outcome", Text, nullable=False, default="[]", comment="JSON references filed"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("ready_at", Instant, nullable=False, comment="not to be tried before"),
    Column("changed_at", Instant, nullable=False),
    Index("ix_part_work", "state", "ready_at", "key"),
    Index("ix_part_lane", "lane", "state", "key"),
    Index("ix_part_awaits", "awaits"),
)

lane = Table(
    "lane",
    metadata,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("leased_until", Instant, nullable=False),
)

# -- who ------------------------------------------------------------------------------------

patient = Table(
    "patient",
    metadata,
    _key(),
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
    _key(),
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
    _key(),
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

# -- what was filed -------------------------------------------------------------------------

report = Table(
    "report",
    metadata,
    _key(),
    Column("laboratory", String, nullable=False, comment="the reporting laboratory"),
    Column("number", String, nullable=False, comment="its report number"),
    Column("patient_key", ForeignKey("patient.key"), index=True),
    Column("status", String, nullable=False, default=""),
    Column("clock", Instant, nullable=False, default=0),
    Column("sent_at", Instant, nullable=False, default=0, comment="MSH-7: breaks ties"),
    Column("content_digest", String(64), nullable=False, default=""),
    Column("record_class", String, nullable=False, default="nhs"),
    Column("tested_subject", String, nullable=False, default="self"),
    Column("flagged", Boolean, nullable=False, server_default=false()),
    Column("requested_at", Instant),
    Column("collected_at", Instant),
    Column("received_at", Instant),
    Column("reported_at", Instant),
    Column("published_at", Instant),
    Column("fetched_at", Instant),
    Column("read_at", Instant),
    Column("acknowledged_at", Instant),
    UniqueConstraint("laboratory", "number"),
)

edition = Table(
    "edition",
    metadata,
    _key(),
    Column("report_key", ForeignKey("report.key"), nullable=False),
    Column("part_key", ForeignKey("part.key"), nullable=False),
    Column("status", String, nullable=False),
    Column("clock", Instant, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("content_digest", String(64), nullable=False),
    Column("promotes", Boolean, nullable=False, server_default=false()),
    Column("received_at", Instant, nullable=False),
    UniqueConstraint("report_key", "part_key"),
    comment="every version of a report that was received, published or not",
)

placed_order = Table(
    "placed_order",
    metadata,
    _key(),
    Column("organisation", String, nullable=False, comment="who ordered: code, words or sender"),
    Column("number", String, nullable=False, comment="the placer's order number"),
    Column("patient_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("request_id", String(36), nullable=False, unique=True, comment="of its ServiceRequest"),
    Column("ordered", Boolean, nullable=False, server_default=false(),
           comment="an order message described it, not only a result"),
    Column("status", String, nullable=False, default="", comment="as the orders say it"),
    Column("answered", Boolean, nullable=False, server_default=false()),
    Column("record_class", String, nullable=False, server_default="nhs"),
    Column("clock", Instant, nullable=False, default=0),
    Column("sent_at", Instant, nullable=False, default=0),
    UniqueConstraint("organisation", "number"),
    Index("ix_placed_order_number", "number"),
)  # fmt: skip

identity = Table(
    "identity",
    metadata,
    Column("owner", Key, primary_key=True,
           comment="report key, minus an order key, or 0 for what all share"),
    Column("role", String, primary_key=True, comment="what the resource is, by content"),
    Column("type", String, nullable=False),
    Column("id", String(36), nullable=False),
    comment="which resource plays which role: ids are random once, then kept",
)  # fmt: skip

resource = Table(
    "resource",
    metadata,
    _key(),
    Column("type", String, nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("patient_key", ForeignKey("patient.key")),
    Column("record_class", String, nullable=False, default="nhs"),
    Column("restricted", Boolean, nullable=False, server_default=false()),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Column("digest", String(64), nullable=False, comment="SHA-256 of all that was filed"),
    Column("file_digest", ForeignKey("file.digest")),
    Column("body", Text, nullable=False, comment="the JSON that is served"),
    UniqueConstraint("type", "id"),
    Index("ix_resource_patient", "patient_key", "type", "updated_at", "key"),
    Index("ix_resource_type", "type", "updated_at", "key"),
    Index("ix_resource_newest", "type", "key"),
)

resource_version = Table(
    "resource_version",
    metadata,
    Column("resource_key", ForeignKey("resource.key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated_at", Instant, nullable=False),
    Column("patient_key", ForeignKey("patient.key")),
    Column("record_class", String, nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("file_digest", ForeignKey("file.digest")),
    Column("body", Text, nullable=False),
    comment="earlier versions; the newest is in resource",
)

token = Table(
    "token",
    metadata,
    Column("hash", BigInteger, primary_key=True, autoincrement=False),
    Column("literal", Text, nullable=False, comment="what was hashed: a collision never matches"),
)

index_token = Table(
    "index_token",
    metadata,
    Column("hash", BigInteger, primary_key=True, autoincrement=False),
    Column("resource_key", ForeignKey("resource.key"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

index_reference = Table(
    "index_reference",
    metadata,
    Column("source_key", ForeignKey("resource.key"), primary_key=True),
    Column("parameter", SmallInteger, primary_key=True),
    Column("target_key", ForeignKey("resource.key"), primary_key=True),
    Index("ix_index_reference_target", "target_key", "parameter", "source_key"),
    sqlite_with_rowid=False,
)

index_date = Table(
    "index_date",
    metadata,
    Column("resource_key", ForeignKey("resource.key"), primary_key=True),
    Column("parameter", SmallInteger, primary_key=True),
    Column("low", Instant, primary_key=True, comment="first instant meant"),
    Column("high", Instant, primary_key=True, comment="first instant no longer meant"),
    Index("ix_index_date_low", "parameter", "low", "resource_key", "high"),
    sqlite_with_rowid=False,
)

file = Table(
    "file",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256, hexadecimal"),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String, nullable=False),
    Column("created_at", Instant, nullable=False),
)

variant_occurrence = Table(
    "variant_occurrence",
    metadata,
    _key(),
    Column("report_key", ForeignKey("report.key"), nullable=False, index=True),
    Column("resource_key", ForeignKey("resource.key"), nullable=False, unique=True),
    Column("patient_key", ForeignKey("patient.key"), nullable=False, index=True),
    Column("laboratory", String, nullable=False),
    Column("gene", String, nullable=False),
    Column("name", String, nullable=False, comment="verbatim HGVS or ISCN"),
    Column("assembly", String, nullable=False),
    Column("presence", String, nullable=False, comment="LL1971-2 answer"),
    Column("spdi", String),
    Column("vrs", String),
    Column("classification", String, nullable=False),
    Column("classified_at", Instant),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Index("ix_variant_occurrence_name", "name"),
    Index("ix_variant_occurrence_gene", "gene"),
)

# -- who may read ---------------------------------------------------------------------------

access_grant = Table(
    "access_grant",
    metadata,
    _key(),
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
