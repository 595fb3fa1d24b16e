"""What all tables share: names of constraints, keys, instants."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String

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
# Text that is searched by its beginning: both databases order it by code point.
Ordered = String().with_variant(String(collation="C"), "postgresql")


def new_key() -> Column[int]:
    """Make the numbered primary key."""
    return Column("key", Key, primary_key=True, autoincrement=True)
