"""Strings, pairs of code and value, quantities; every stored resource is indexed anew."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.store.search.indexing import index_all

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create("index_string",
            _number("parameter", sa.SmallInteger()),
            sa.Column("text", _ordered(), nullable=False,
                      comment="without case and accents; its beginning"),
            _resource(),
            _number("exact", comment="hash of the text as it was written"))
    _create("index_pair",
            _number("first", comment="token of the code, of any system"),
            _resource(),
            _number("second", comment="of the value that has this code"),
            _number("first_system", comment="the same tokens, with system"),
            _number("second_system"),
            comment="codes with their coded values; 0 where there is none")
    _create("index_quantity",
            _resource(),
            _number("parameter", sa.SmallInteger()),
            _number("low", sa.Double()),
            _number("high", sa.Double(), comment="the same, unless it says less or more than"),
            _number("unit", comment="token of the unit, of any system"),
            _number("unit_system", comment="the same, with system"),
            _number("first", comment="tokens of the code it is the value of"),
            _number("first_system"))
    for table in ("index_string", "index_pair"):
        op.create_index(op.f(f"ix_{table}_resource_key"), table, ["resource_key"], unique=False)
    op.create_index("ix_index_pair_second", "index_pair", ["second", "resource_key", "first"],
                    unique=False)
    op.create_index("ix_index_quantity_low", "index_quantity",
                    ["parameter", "first", "low", "resource_key"], unique=False)
    op.create_index("ix_resource_version_updated", "resource_version",
                    ["updated_at", "resource_key", "version"], unique=False)
    index_all(op.get_bind())


def _create(name: str, *columns: sa.Column[Any], **options: Any) -> None:
    op.create_table(
        name, *columns,
        sa.ForeignKeyConstraint(["resource_key"], ["resource.key"],
                                name=op.f(f"fk_{name}_resource_key")),
        sa.PrimaryKeyConstraint(*(column.name for column in columns), name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False, **options,
    )


def _number(
    name: str, kind: sa.types.TypeEngine[Any] = sa.BigInteger(), comment: str | None = None
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)


def _resource() -> sa.Column[Any]:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("resource_key", key, nullable=False)


def _ordered() -> sa.types.TypeEngine[str]:
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")
