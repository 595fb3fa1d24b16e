"""What the database says of its own troubles becomes one of our errors."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.store.database import Database
from gateway.store.schema import upgrade
from tests import postgres


@pytest.fixture
def cluster_database(postgres_cluster: postgres.Cluster) -> Database:
    opened = Database(postgres_cluster.url("database_errors"))
    upgrade(opened)
    return opened


def test_a_deadlock_is_a_conflict_and_not_an_outage(cluster_database: Database) -> None:
    with cluster_database.write() as connection:
        connection.execute(text("CREATE TABLE two (key int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO two VALUES (1), (2)"))
    barrier = threading.Barrier(2)
    seen: list[Exception] = []

    def lock(*keys: int) -> None:
        take = text("SELECT key FROM two WHERE key = :key FOR UPDATE")
        try:
            with cluster_database.write() as connection:
                connection.execute(take, {"key": keys[0]})
                barrier.wait(30)
                connection.execute(take, {"key": keys[1]})
        except (StoreUnavailable, VersionConflict) as error:
            seen.append(error)

    threads = [threading.Thread(target=lock, args=keys) for keys in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in seen] == [VersionConflict]
    cluster_database.close()


def test_a_row_that_is_there_already_is_a_conflict(database: Database) -> None:
    insert = text("INSERT INTO lane (name, owner, fence, leased_until) VALUES ('a', 'b', 1, 1)")
    with database.write() as connection:
        connection.execute(insert)
    with pytest.raises(VersionConflict), database.write() as connection:
        connection.execute(insert)
