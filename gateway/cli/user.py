"""Commands on people: accounts, roles, passwords, authenticators."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import click
import orjson

from gateway.cli.environment import database, printable, settings
from gateway.errors import InvalidRequest
from gateway.oauth.accounts import Accounts
from gateway.oauth.keyring import Keyring
from gateway.oauth.passwords import LENGTH_MIN
from gateway.store import people
from gateway.store.audit import Event, Journal
from gateway.store.database import Connection, now_micros
from gateway.store.people import LOCAL, Person, Role
from gateway.store.sessions import end_sessions

_role = click.Choice(people.ROLES)
_board = click.option("--board", default="", metavar="CODE", help="Health board, e.g. S08000020.")
_team = click.option("--team", default="", metavar="NAME", help="Team, e.g. clinical-genetics.")


@click.group()
def user() -> None:
    """People who sign in with a browser, and what they may be.

    \b
    The first administrator, on a new installation:
        gateway user add morag --name "Morag Example" --administrator
    A clinician of a health board:
        gateway user add isla --name "Dr Isla Example" --role clinician --board S08000020
    Somebody who signs in at your organisation's provider: let them sign in once,
    find them with `gateway user list`, then `gateway user role ID clinician`.

    USER is a name to sign in, or an id from `gateway user list`.
    """


@user.command("add")
@click.argument("login", metavar="NAME-TO-SIGN-IN")
@click.option("--name", required=True, help="The person's name, as others see it.")
@click.option("--role", "roles", type=_role, multiple=True, help="May be given several times.")
@_board
@_team
@click.option("--administrator", is_flag=True, help="The same as --role administrator.")
def user_add(
    login: str, name: str, roles: tuple[str, ...], board: str, team: str, administrator: bool
) -> None:
    """Add a person with an account of the gateway itself, and print the id.

    Asks for a password at the terminal, or reads one line of standard input. Board and team go
    with every role but administrator.
    """
    given = [Role(role, board, team) for role in roles if role != "administrator"]
    if administrator or "administrator" in roles:
        given.append(Role("administrator"))
    if not given:
        raise InvalidRequest("needs a role", where="--role")
    password = _password()
    with _changing("add") as (connection, accounts, told):
        made = accounts.add(connection, login, name, password)
        for role in given:
            people.give_role(connection, made.key, role)
        told.append(made.id)
    click.echo(made.id)


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def user_list(as_json: bool) -> None:
    """List everybody, also those who may no longer sign in."""
    with closing(database()) as opened, opened.read() as connection:
        found = people.list_people(connection)
    if as_json:
        click.echo(orjson.dumps([_fields(one) for one in found], option=orjson.OPT_INDENT_2))
        return
    for one in found:
        roles = ", ".join(map(_role_text, one.roles)) or "no role"
        cells = (one.id, _state(one), _login(one), one.name, roles)
        click.echo("\t".join(printable(cell) for cell in cells))


@user.command("show")
@click.argument("user", metavar="USER")
def user_show(user: str) -> None:
    """Show one person."""
    with closing(database()) as opened:
        with opened.read() as connection:
            found = people.person_named(connection, user)
        accounts = Accounts(opened, Keyring(settings().key_folder), now_micros)
        code = "set up" if accounts.has_authenticator(found) else "none"
    lines = {
        "id": found.id, "name": found.name, "state": _state(found), "issuer": found.issuer,
        "subject": found.subject, "authenticator": code if found.issuer == LOCAL else "upstream",
    }  # fmt: skip
    for label, value in lines.items():
        click.echo(f"{label}\t{printable(value)}")
    for role in found.roles:
        click.echo(f"role\t{printable(_role_text(role))}")


@user.command("role")
@click.argument("user", metavar="USER")
@click.argument("role", type=_role)
@_board
@_team
@click.option(
    "--remove", is_flag=True, help="Take the role away, with exactly this board and team."
)
def user_role(user: str, role: str, board: str, team: str, remove: bool) -> None:
    """Give a person a role, or take one away.

    Roles that come from your organisation's provider (setting sign_in_roles) are changed there.
    """
    meant = Role(role, board, team)
    with _changing("role-removed" if remove else "role") as (connection, _, told):
        found = people.person_named(connection, user)
        change = people.take_role if remove else people.give_role
        change(connection, found.key, meant)
        told += [found.id, _role_text(meant)]
    click.echo(f"{printable(found.name)}: {_role_text(meant)} {'removed' if remove else 'given'}")


@user.command("password")
@click.argument("user", metavar="USER")
def user_password(user: str) -> None:
    """Set a new password, and sign every browser of this person out.

    Asks for it at the terminal, or reads one line of standard input.
    """
    password = _password()
    with _changing("password") as (connection, accounts, told):
        found = _local(connection, user)
        accounts.set_password(connection, found, password)
        end_sessions(connection, found.key)
        told.append(found.id)
    click.echo(f"{printable(found.name)}: the password is set")


@user.command("totp")
@click.argument("user", metavar="USER")
@click.option("--remove", is_flag=True, required=True, help="Needed: it is the only change made.")
def user_totp(user: str, remove: bool) -> None:
    """Take the authenticator off an account whose owner has lost the phone.

    Make sure that you speak to that person. The password alone signs in until another
    authenticator is set up, at /account.
    """
    with _changing("authenticator-removed") as (connection, accounts, told):
        found = _local(connection, user)
        accounts.drop_authenticator(connection, found)
        end_sessions(connection, found.key)
        told.append(found.id)
    click.echo(f"{printable(found.name)}: the authenticator is removed")


@user.command("deactivate")
@click.argument("user", metavar="USER")
@click.option("--undo", is_flag=True, help="Let the person sign in again.")
def user_deactivate(user: str, undo: bool) -> None:
    """Refuse a person from now on, and end what they are signed in to.

    Nobody is deleted: the audit journal must be able to say who an id was.
    """
    with _changing("reactivate" if undo else "deactivate") as (connection, _, told):
        found = people.person_named(connection, user)
        change = people.reactivate_person if undo else people.deactivate_person
        change(connection, found.id, now_micros())
        told.append(found.id)
    click.echo(f"{printable(found.name)}: {'may sign in again' if undo else 'is deactivated'}")


@contextmanager
def _changing(what: str) -> Iterator[tuple[Connection, Accounts, list[str]]]:
    """Run one transaction; what it tells (person, detail) is journalled before it is kept."""
    given = settings()
    journal, told = Journal(given.data / "audit"), list[str]()
    with closing(database()) as opened, closing(journal):
        accounts = Accounts(opened, Keyring(given.key_folder), now_micros)
        with opened.write() as connection:
            yield connection, accounts, told
            person, *detail = told
            journal.record(
                Event(time=now_micros(), client="command line", interaction=f"operation:{what}",
                      target="", status=200, person=person, detail=" ".join(detail)),
                sync=True,
            )  # fmt: skip


def _password() -> str:
    """Ask twice at a terminal, else read a line; never an argument, which others could see."""
    if sys.stdin.isatty():
        said = f"Password ({LENGTH_MIN} characters or more)"
        return str(click.prompt(said, hide_input=True, confirmation_prompt="Once more"))
    return sys.stdin.readline().rstrip("\r\n")


def _local(connection: Connection, user: str) -> Person:
    found = people.person_named(connection, user)
    if found.issuer != LOCAL:
        raise InvalidRequest("this person signs in elsewhere, and has no password here")
    return found


def _fields(person: Person) -> dict[str, Any]:
    return {name: value for name, value in asdict(person).items() if name != "key"}


def _state(person: Person) -> str:
    return "active" if person.active else "deactivated"


def _login(person: Person) -> str:
    return person.subject if person.issuer == LOCAL else f"at {person.issuer}"


def _role_text(role: Role) -> str:
    return "/".join((role.role, role.board, role.team)).rstrip("/")
