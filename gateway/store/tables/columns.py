"""What all tables share: names of constraints, keys, instants."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData

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


def new_key() -> Column[int]:
    """Make the numbered primary key."""
    return Column("key", Key, primary_key=True, autoincrement=True)
