"""What was made over FHIR."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "written",
        sa.Column("resource_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                  nullable=False),
        sa.Column("client", sa.String(), nullable=False, comment="who made it"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["resource_key"], ["resource.key"],
                                name=op.f("fk_written_resource_key")),
        sa.PrimaryKeyConstraint("resource_key", name=op.f("pk_written")),
        comment="resources that were made over FHIR: all others are kept by messages",
    )
