import pytest
from sqlalchemy import select

from gateway.store import schema
from gateway.store.database import Database
from gateway.store.tables import lane


def test_migrations_build_exactly_the_tables_in_code(database: Database) -> None:
    assert schema.current(database)
    assert schema.differences(database) == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    schema.upgrade(database)
    assert schema.current(database)


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(lane.insert().values(name="a", owner="", fence=1, leased_until=0))
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    with database.read() as connection:
        assert connection.execute(select(lane)).all() == []
