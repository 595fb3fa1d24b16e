from __future__ import annotations

import threading

import pytest

from gateway.errors import NotFound
from gateway.store.clients import (
    Token,
    create_client,
    deactivate_client,
    find_client,
    find_token,
    forget_expired,
    last_revocation,
    list_clients,
    revoke_token,
    save_token,
    use_assertion,
)
from gateway.store.database import Database


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as connection:
        create_client(connection, client_id="c", name="a test", scope="s", jwks="{}", now=1)
        save_token(connection, "d", Token("c", "s", 1, 100))
    return database


def test_a_token_is_found_until_it_expires(filled: Database) -> None:
    with filled.read() as connection:
        assert find_token(connection, "d", 99) == Token("c", "s", 1, 100)
        assert find_token(connection, "d", 100) is None
        assert find_token(connection, "another", 1) is None


def test_a_revoked_token_is_not_found_and_the_revocation_shows(filled: Database) -> None:
    with filled.write() as connection:
        assert last_revocation(connection) == 0
        revoke_token(connection, "d", 50)
        revoke_token(connection, "d", 60)
        revoke_token(connection, "unknown", 70)
        assert find_token(connection, "d", 2) is None
        assert last_revocation(connection) == 50


def test_a_deactivated_client_keeps_its_row_and_loses_its_tokens(filled: Database) -> None:
    with filled.write() as connection:
        assert find_client(connection, "c")
        deactivate_client(connection, "c", 50)
        assert find_client(connection, "c") is None
        assert find_token(connection, "d", 2) is None
        assert [client.active for client in list_clients(connection)] == [False]
        assert last_revocation(connection) == 50
    with pytest.raises(NotFound), filled.write() as connection:
        deactivate_client(connection, "nobody", 50)


def test_an_assertion_is_used_once_for_each_client(database: Database) -> None:
    with database.write() as connection:
        used = [use_assertion(connection, client, "jti", 100) for client in ("a", "a", "b")]
    assert used == [True, False, True]


def test_of_many_racing_uses_one_wins(database: Database) -> None:
    start, won = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        with database.write() as connection:
            won.append(use_assertion(connection, "a", "jti", 100))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_what_expired_is_forgotten(filled: Database) -> None:
    with filled.write() as connection:
        use_assertion(connection, "a", "jti", 100)
        forget_expired(connection, 101)
        assert use_assertion(connection, "a", "jti", 300)
        assert find_token(connection, "d", 2) is None
