"""People and sessions on both databases."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest, NotFound, VersionConflict
from gateway.store.database import Database
from gateway.store.people import (
    LOCAL,
    Role,
    create_person,
    deactivate_person,
    find_person,
    give_role,
    list_people,
    map_roles,
    person_named,
    person_of,
    reactivate_person,
    take_role,
)
from gateway.store.sessions import (
    end_session,
    find_session,
    save_step,
    see_session,
    start_session,
    take_step,
)

CLINICIAN = Role("clinician", "S08000020", "genetics")


def test_a_person_is_known_by_issuer_and_subject_and_named_by_id_or_login(
    database: Database,
) -> None:
    with database.write() as connection:
        made = create_person(connection, issuer=LOCAL, subject="isla", name="Isla", now=1)
        other = create_person(connection, issuer="https://a", subject="isla", name="B", now=1)
        assert person_of(connection, LOCAL, "isla") == made == find_person(connection, made.id)
        assert person_named(connection, "ISLA") == made
        assert person_named(connection, other.id) == other
        assert [one.key for one in list_people(connection)] == [made.key, other.key]
        with pytest.raises(NotFound):
            person_named(connection, "nobody")
        with pytest.raises(VersionConflict):
            create_person(connection, issuer=LOCAL, subject="isla", name="C", now=2)


def test_roles_that_were_given_outlast_those_of_the_issuer(database: Database) -> None:
    laboratory = Role("laboratory")
    with database.write() as connection:
        made = create_person(connection, issuer="https://a", subject="s", name="A", now=1)
        give_role(connection, made.key, CLINICIAN)
        give_role(connection, made.key, CLINICIAN)
        map_roles(connection, made.key, [CLINICIAN, laboratory])
        assert find_person(connection, made.id).roles == (CLINICIAN, laboratory)  # type: ignore[union-attr]
        map_roles(connection, made.key, [])
        assert list_people(connection)[0].roles == (CLINICIAN,)
        take_role(connection, made.key, CLINICIAN)
        assert find_person(connection, made.id).roles == ()  # type: ignore[union-attr]
        with pytest.raises(NotFound):
            take_role(connection, made.key, CLINICIAN)
        with pytest.raises(InvalidRequest):
            give_role(connection, made.key, Role("surgeon"))


def test_deactivation_ends_sessions_and_finds_none_until_it_is_undone(database: Database) -> None:
    with database.write() as connection:
        made = create_person(connection, issuer=LOCAL, subject="isla", name="Isla", now=1)
        start_session(connection, "d", made.key, ("pwd",), 10, 100)
        assert find_session(connection, "d", 20, 5)
        deactivate_person(connection, made.id, 30)
        assert find_session(connection, "d", 20, 5) is None
        start_session(connection, "e", made.key, ("pwd",), 10, 100)
        assert find_session(connection, "e", 20, 5) is None
        reactivate_person(connection, made.id, 40)
        assert find_session(connection, "e", 20, 5)
        with pytest.raises(NotFound):
            deactivate_person(connection, "nobody", 50)


def test_a_session_ends_when_idle_old_or_told(database: Database) -> None:
    with database.write() as connection:
        made = create_person(connection, issuer=LOCAL, subject="isla", name="Isla", now=1)
        start_session(connection, "d", made.key, ("pwd", "otp"), 10, 100)
        found = find_session(connection, "d", 99, 9)
        assert found
        assert (found.person_id, found.methods) == (made.id, ("pwd", "otp"))
        assert (found.authenticated_at, found.seen_at) == (10, 10)
        assert find_session(connection, "d", 100, 9) is None
        assert find_session(connection, "d", 50, 10) is None
        see_session(connection, "d", 40)
        assert find_session(connection, "d", 50, 10)
        end_session(connection, "d")
        assert find_session(connection, "d", 50, 10) is None


def test_a_step_is_taken_once_and_not_when_late(database: Database) -> None:
    with database.write() as connection:
        save_step(connection, "d", b"first", 1, 50)
        save_step(connection, "d", b"second", 2, 50)
        assert take_step(connection, "d", 50) is None
        assert take_step(connection, "d", 49) == b"second"
        assert take_step(connection, "d", 49) is None
