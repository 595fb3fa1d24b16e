"""What was filed, and how it is found."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from gateway.store.tables.columns import Instant, Key, Ordered, metadata, new_key

report = Table(
    "report",
    metadata,
    new_key(),
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
    Column("quarantined", Boolean, nullable=False, server_default=false(),
           comment="whose it is is in doubt: hidden, and nothing more is filed"),
    Column("requested_at", Instant),
    Column("collected_at", Instant),
    Column("received_at", Instant),
    Column("reported_at", Instant),
    Column("published_at", Instant),
    Column("fetched_at", Instant),
    Column("read_at", Instant),
    Column("acknowledged_at", Instant),
    Column("confidentiality", String(1), nullable=False, server_default="N"),
    UniqueConstraint("laboratory", "number"),
)  # fmt: skip

edition = Table(
    "edition",
    metadata,
    new_key(),
    Column("report_key", ForeignKey("report.key"), nullable=False),
    Column("part_key", ForeignKey("part.key"), nullable=False),
    Column("status", String, nullable=False),
    Column("clock", Instant, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("content_digest", String(64), nullable=False),
    Column("promotes", Boolean, nullable=False, server_default=false()),
    Column(
        "document",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="it came as a document (MDM)",
    ),
    Column("received_at", Instant, nullable=False),
    UniqueConstraint("report_key", "part_key"),
    Index("ix_edition_part", "part_key"),
    comment="every version of a report that was received, published or not",
)

placed_order = Table(
    "placed_order",
    metadata,
    new_key(),
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
    Index("ix_identity_role", "role"),
    comment="which resource plays which role: ids are random once, then kept",
)  # fmt: skip

resource = Table(
    "resource",
    metadata,
    new_key(),
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
    Column("owner", Key, nullable=False, server_default="0", comment="as of identity"),
    Column("confidentiality", String(1), nullable=False, server_default="N",
           comment="v3-Confidentiality"),
    UniqueConstraint("type", "id"),
    Index("ix_resource_patient", "patient_key", "type", "updated_at", "key"),
    Index("ix_resource_type", "type", "updated_at", "key"),
    Index("ix_resource_newest", "type", "key"),
)  # fmt: skip

written = Table(
    "written",
    metadata,
    Column("resource_key", ForeignKey("resource.key"), primary_key=True),
    Column("client", String, nullable=False, comment="who made it"),
    Column("at", Instant, nullable=False),
    comment="resources that were made over FHIR: all others are kept by messages",
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
    Column("owner", Key, nullable=False, server_default="0"),
    Column("confidentiality", String(1), nullable=False, server_default="N"),
    Index("ix_resource_version_updated", "updated_at", "resource_key", "version"),
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

index_string = Table(
    "index_string",
    metadata,
    Column("parameter", SmallInteger, primary_key=True),
    Column("text", Ordered, primary_key=True, comment="without case and accents; its beginning"),
    Column("resource_key", ForeignKey("resource.key"), primary_key=True, index=True),
    Column("exact", BigInteger, primary_key=True, comment="hash of the text as it was written"),
    sqlite_with_rowid=False,
)

index_pair = Table(
    "index_pair",
    metadata,
    Column("first", BigInteger, primary_key=True, comment="token of the code, of any system"),
    Column("resource_key", ForeignKey("resource.key"), primary_key=True, index=True),
    Column("second", BigInteger, primary_key=True, comment="of the value that has this code"),
    Column("first_system", BigInteger, primary_key=True, comment="the same tokens, with system"),
    Column("second_system", BigInteger, primary_key=True),
    Index("ix_index_pair_second", "second", "resource_key", "first"),
    sqlite_with_rowid=False,
    comment="codes with their coded values; 0 where there is none",
)

index_quantity = Table(
    "index_quantity",
    metadata,
    Column("resource_key", ForeignKey("resource.key"), primary_key=True),
    Column("parameter", SmallInteger, primary_key=True),
    Column("low", Double, primary_key=True),
    Column("high", Double, primary_key=True, comment="the same, unless it says less or more than"),
    Column("unit", BigInteger, primary_key=True, comment="token of the unit, of any system"),
    Column("unit_system", BigInteger, primary_key=True, comment="the same, with system"),
    Column("first", BigInteger, primary_key=True, comment="tokens of the code it is the value of"),
    Column("first_system", BigInteger, primary_key=True),
    Index("ix_index_quantity_low", "parameter", "first", "low", "resource_key"),
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
    new_key(),
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
