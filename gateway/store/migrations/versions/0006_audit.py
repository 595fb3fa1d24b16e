"""Audit: segments of the journals, the chain of seals, the index."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_segment()
    _create_seal()
    _create_entry()
    _create_link("patient", "as it was when sealed; merges are followed when asked")
    _create_link("resource", None)


def _create_segment() -> None:
    op.create_table(
        "audit_segment",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False,
                  comment="its file, without .ndjson"),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.BigInteger(), server_default="0", nullable=False,
                  comment="bytes under seals"),
        sa.Column("lines", sa.BigInteger(), server_default="0", nullable=False,
                  comment="lines under seals"),
        sa.Column("head", sa.String(length=64), nullable=False,
                  comment="digest of the last line under a seal"),
        sa.Column("purged_at", sa.BigInteger(), nullable=True,
                  comment="its file was removed by the retention rule"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_audit_segment")),
        sa.UniqueConstraint("name", name=op.f("uq_audit_segment_name")),
        comment="files of the journals, announced by the process that writes them",
    )


def _create_seal() -> None:
    op.create_table(
        "audit_seal",
        sa.Column("number", _key(), autoincrement=False, nullable=False,
                  comment="1, 2, 3: no gap"),
        sa.Column("kind", sa.String(), nullable=False, comment="lines, purge"),
        sa.Column("segment_key", _key(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False, comment="first byte"),
        sa.Column("high", sa.BigInteger(), nullable=False,
                  comment="first byte no longer meant"),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False,
                  comment="SHA-256 of these bytes"),
        sa.Column("previous", sa.String(length=64), nullable=False,
                  comment="seal of the number before"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("keyed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False,
                  comment="SHA-256, or HMAC, of all of the above"),
        sa.ForeignKeyConstraint(["segment_key"], ["audit_segment.key"],
                                name=op.f("fk_audit_seal_segment_key")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seal")),
        comment="the chain over all journals; never changed",
    )
    op.create_index(op.f("ix_audit_seal_segment_key"), "audit_seal", ["segment_key"],
                    unique=False)


def _create_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("segment_key", _key(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False, comment="where its line begins"),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("interaction", sa.String(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["segment_key"], ["audit_segment.key"],
                                name=op.f("fk_audit_entry_segment_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("segment_key", "low", name=op.f("uq_audit_entry_segment_key")),
        comment="one line of a journal under a seal",
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at", "key"], unique=False)
    op.create_index("ix_audit_entry_client", "audit_entry", ["client", "at", "key"],
                    unique=False)
    op.create_index("ix_audit_entry_person", "audit_entry", ["person", "at", "key"],
                    unique=False)


def _create_link(to: str, comment: str | None) -> None:
    name = f"audit_{to}"
    op.create_table(
        name,
        sa.Column(f"{to}_key", _key(), nullable=False, comment=comment),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entry_key", _key(), nullable=False),
        sa.ForeignKeyConstraint([f"{to}_key"], [f"{to}.key"], name=op.f(f"fk_{name}_{to}_key")),
        sa.ForeignKeyConstraint(["entry_key"], ["audit_entry.key"],
                                name=op.f(f"fk_{name}_entry_key")),
        sa.PrimaryKeyConstraint(f"{to}_key", "at", "entry_key", name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f(f"ix_{name}_entry_key"), name, ["entry_key"], unique=False)


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
