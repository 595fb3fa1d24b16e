"""Relationships, grants that can be revoked, whose a resource is and how confidential."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OWNERS = (
    "UPDATE resource SET owner = identity.owner FROM identity"
    " WHERE identity.type = resource.type AND identity.id = resource.id",
    "UPDATE resource SET owner = -placed_order.key FROM placed_order"
    " WHERE resource.type = 'ServiceRequest' AND resource.id = placed_order.request_id"
    " AND resource.owner = 0",
    # A Provenance has the owner of what it is about (search parameter 90).
    "UPDATE resource SET owner = coalesce((SELECT max(target.owner) FROM index_reference"
    " JOIN resource AS target ON target.key = index_reference.target_key"
    " WHERE index_reference.source_key = resource.key AND index_reference.parameter = 90), 0)"
    " WHERE type = 'Provenance'",
    "UPDATE resource_version SET owner = resource.owner FROM resource"
    " WHERE resource.key = resource_version.resource_key",
)
# What a document said of itself (DocumentReference.securityLabel); its report is no more open.
_LABELS = {
    code: f'%http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"{code}"%'
    for code in ("R", "V")
}


def upgrade() -> None:
    for table in ("resource", "resource_version"):
        op.add_column(table, _owner("as of identity" if table == "resource" else None))
        op.add_column(table, _label("v3-Confidentiality" if table == "resource" else None))
    op.add_column("report", _label(None))
    _create_relationship()
    _extend_grant()
    connection = op.get_bind()
    for statement in _OWNERS:
        connection.execute(sa.text(statement))
    for code, pattern in _LABELS.items():
        _label_documents(connection, code, pattern)


def _label_documents(connection: sa.Connection, code: str, pattern: str) -> None:
    values = {"code": code, "pattern": pattern}
    labelled = ("SELECT owner FROM resource WHERE type = 'DocumentReference' AND owner > 0"
                " AND body LIKE :pattern")
    for statement in (
        f"UPDATE report SET confidentiality = :code WHERE key IN ({labelled})",
        "UPDATE resource SET confidentiality = :code WHERE owner > 0"
        f" AND type <> 'Patient' AND owner IN ({labelled})",
        f"UPDATE resource_version SET confidentiality = :code WHERE owner IN ({labelled})"
        " AND owner > 0",
    ):
        connection.execute(sa.text(statement), values)


def _owner(comment: str | None) -> "sa.Column[Any]":
    return sa.Column("owner", _key(), server_default="0", nullable=False, comment=comment)


def _label(comment: str | None) -> "sa.Column[Any]":
    return sa.Column("confidentiality", sa.String(length=1), server_default="N", nullable=False,
                     comment=comment)


def _create_relationship() -> None:
    op.create_table(
        "relationship",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("patient_key", _key(), nullable=False),
        sa.Column("owner", _key(), server_default="0", nullable=False,
                  comment="as of resource: a report, an order, or 0 for all of the patient"),
        sa.Column("meaning", sa.String(), nullable=False,
                  comment="residence, requesting, treating, laboratory"),
        sa.Column("party", sa.String(), nullable=False,
                  comment="code of a board, team or organisation"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False,
                  comment="first instant it holds no longer"),
        sa.ForeignKeyConstraint(["patient_key"], ["patient.key"],
                                name=op.f("fk_relationship_patient_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_relationship")),
        comment="which boards and teams have to do with a patient or a report, and as what",
    )
    op.create_index("ix_relationship_patient", "relationship", ["patient_key", "party"],
                    unique=False)
    op.create_index("ix_relationship_owner", "relationship", ["owner"], unique=False)


def _extend_grant() -> None:
    for column in (
        sa.Column("kind", sa.String(), server_default="grant", nullable=False,
                  comment="grant, break-glass"),
        sa.Column("restricted", sa.Boolean(), server_default=sa.false(), nullable=False,
                  comment="opens restricted rows too"),
        sa.Column("given_by", sa.String(), server_default="", nullable=False),
        sa.Column("given_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ended_by", sa.String(), server_default="", nullable=False,
                  comment="who revoked it"),
        sa.Column("ended_why", sa.String(), server_default="", nullable=False),
        sa.Column("reviewed_by", sa.String(), server_default="", nullable=False,
                  comment="who looked into a break-glass"),
    ):
        op.add_column("access_grant", column)
    op.create_index("ix_access_grant_patient", "access_grant", ["patient_key", "grantee"],
                    unique=False)


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
