"""What arrived, and what became of it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
    text,
)

from gateway.store.tables.columns import Instant, metadata, new_key

message = Table(
    "message",
    metadata,
    new_key(),
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
    Column("application_wanted", String(2), nullable=False, server_default="",
           comment="MSH-16 (0155) while an application acknowledgement is owed: AL, ER, SU"),
    Column("back_load", Boolean, nullable=False, server_default=false(),
           comment="history: filed, but nobody is told"),
    Column("purged_at", Instant, comment="raw was emptied by the retention rule"),
    Index("ix_message_control", "source", "control_id"),
    Index("ix_message_unpurged", "received_at", sqlite_where=text("purged_at IS NULL"),
          postgresql_where=text("purged_at IS NULL")),
    Index("ix_message_counts", "source", "sender", "state", "answer", "control_id_reused", "key"),
    Index("ix_message_owed", "source", "key", sqlite_where=text("application_wanted <> ''"),
          postgresql_where=text("application_wanted <> ''")),
    Index("ix_message_received", "received_at"),
)  # fmt: skip

part = Table(
    "part",
    metadata,
    new_key(),
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
    Column("urgency", String, nullable=False, server_default="routine",
           comment="stat, urgent, routine: when a held part is overdue"),
    Column("alerted_at", Instant, comment="when its age was last reported"),
    Column("crashes", Integer, nullable=False, server_default="0",
           comment="workers that were lost with it in hand"),
    Index("ix_part_work", "state", "ready_at", "key"),
    Index("ix_part_lane", "lane", "state", "key"),
    Index("ix_part_awaits", "awaits"),
    Index("ix_part_changed", "changed_at", "key"),
    Index("ix_part_open", "key", sqlite_where=text("ready_at > 0"),
          postgresql_where=text("ready_at > 0")),
)  # fmt: skip

part_report = Table(
    "part_report",
    metadata,
    Column("report", String, primary_key=True, comment="laboratory, line feed, number"),
    Column("part_key", ForeignKey("part.key"), primary_key=True, index=True),
    comment="reports that a held part names: what comes later for them waits behind it",
)

decision = Table(
    "decision",
    metadata,
    new_key(),
    Column("part_key", ForeignKey("part.key"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False, comment="release, replay, propose, reject, unmerge"),
    Column("reason", String, nullable=False),
    Column("digest", String(64), nullable=False, server_default="",
           comment="of the change that was proposed: a second person confirms just that"),
    comment="what a named person decided about a part, and why; never changed",
)  # fmt: skip

tally = Table(
    "tally",
    metadata,
    Column("door", String, primary_key=True, comment="one run of one process"),
    Column("source", String, primary_key=True),
    Column("received", BigInteger, nullable=False, comment="complete frames"),
    Column("positive", BigInteger, nullable=False, comment="answered AA or CA"),
    Column("negative", BigInteger, nullable=False, comment="answered AE, AR, CE or CR"),
    Column("fragments", BigInteger, nullable=False, comment="frames that never ended"),
    Column("changed_at", Instant, nullable=False),
    comment="what each door counted: received = positive + negative + open",
)

lane = Table(
    "lane",
    metadata,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("leased_until", Instant, nullable=False),
)
