"""Commands for OAuth clients: apps, EHRs, and systems that speak for themselves."""

from __future__ import annotations

from typing import IO, Any

import click
import orjson

from gateway.cli.environment import database, printable, settings
from gateway.errors import InvalidSetting, NotFound
from gateway.oauth.clients import Registration, register_client, rotate
from gateway.store.clients import ASYMMETRIC, PUBLIC, SYMMETRIC, Client, deactivate_client
from gateway.store.clients import list_clients as stored_clients
from gateway.store.database import Database, now_micros

_KINDS = (PUBLIC, SYMMETRIC, ASYMMETRIC)


@click.group()
def client() -> None:
    """OAuth clients: who may ask for tokens, and the most they get."""


@client.command("add")
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), help="How it proves who it is: not at all "
              "(browser and mobile apps), with a secret, or with a key. Default: asymmetric "
              "when keys are given, else public.")  # fmt: skip
@click.option("--scope", required=True, help="The most it may ask for, between quotes: "
              "'launch openid fhirUser patient/*.rs' for an app, 'system/*.rs' for a system that "
              "speaks for itself, gateway/hl7.send for a sender.")  # fmt: skip
@click.option("--redirect-uri", multiple=True, help="Where people come back to, letter by "
              "letter; may be repeated. Gives the grants for people.")  # fmt: skip
@click.option("--jwks", type=click.File("rb"), help="File with its public keys (JWKS).")
@click.option("--jwks-uri", default="", help="Or the https address where it keeps them.")
@click.option("--launch-url", default="", help="Where an EHR starts it.")
@click.option("--owner", default="", help="Who operates it; people read this when they consent.")
@click.option("--board", multiple=True, help="Code of a health board it is confined to; may be "
              "repeated.")  # fmt: skip
@click.option("--dpop", is_flag=True, help="Its tokens must always be bound to a key (DPoP).")
def client_add(
    name: str, kind: str | None, scope: str, redirect_uri: tuple[str, ...],
    jwks: IO[bytes] | None, jwks_uri: str, launch_url: str, owner: str, board: tuple[str, ...],
    *, dpop: bool,
) -> None:  # fmt: skip
    """Add a client and print its client_id, and its secret where it has one.

    The secret is shown this once; `gateway client rotate` makes another.
    """
    chosen = kind or (ASYMMETRIC if jwks or jwks_uri else PUBLIC)
    asked = Registration(
        name, " ".join(scope.split()), chosen, _keys(jwks), jwks_uri, redirect_uri, launch_url,
        board, owner, dpop,
    )  # fmt: skip
    inside = settings().development
    made, secret = register_client(database(), asked, now_micros(), inside=inside)
    click.echo(made.id)
    if secret:
        click.echo(secret)


@client.command("list")
def client_list() -> None:
    """List the clients."""
    with database().read() as connection:
        for one in stored_clients(connection):
            state = "active" if one.active else "inactive"
            click.echo(f"{one.id}\t{state}\t{one.kind}\t{printable(one.name)}\t{one.scope}")


@client.command("show")
@click.argument("client_id")
def client_show(client_id: str) -> None:
    """Show everything about one client, except what is secret."""
    one = _find(database(), client_id)
    for name, value in (
        ("client_id", one.id), ("name", one.name), ("operated by", one.owner),
        ("state", "active" if one.active else "inactive"), ("kind", one.kind),
        ("grants", " ".join(one.grant_types)), ("scope", one.scope),
        ("redirect URIs", " ".join(one.redirect_uris)), ("launch URL", one.launch_url),
        ("keys", one.jwks_uri or _kids(one)), ("boards", " ".join(one.boards)),
        ("DPoP", "always" if one.dpop else "when it asks"),
        ("registered by", one.registered_by or "an administrator"),
    ):  # fmt: skip
        if value:
            click.echo(f"{name}\t{printable(value)}")


@client.command("rotate")
@click.argument("client_id")
@click.option("--jwks", type=click.File("rb"), help="File with its new public keys.")
@click.option("--jwks-uri", default="", help="Or the https address where it keeps them.")
def client_rotate(client_id: str, jwks: IO[bytes] | None, jwks_uri: str) -> None:
    """Replace the keys of a client, or print a new secret; the old is no good from now on.

    Tokens that it holds stay good until they expire: `revoke` ends them, too.
    """
    opened, inside = database(), settings().development
    secret = rotate(opened, client_id, _keys(jwks), jwks_uri, inside=inside)
    click.echo(secret or "the keys were replaced")


@client.command("revoke")
@click.argument("client_id")
def client_revoke(client_id: str) -> None:
    """Refuse a client from now on: its tokens, and all that people allowed it, end at once.

    Its row stays, because the audit journal names it. It cannot be undone: add it again.
    """
    with database().write() as connection:
        deactivate_client(connection, client_id, now_micros())
    click.echo("the client is refused from now on")


def _find(opened: Database, client_id: str) -> Client:
    with opened.read() as connection:
        for one in stored_clients(connection):
            if one.id == client_id:
                return one
    raise NotFound("there is no such client")


def _kids(one: Client) -> str:
    keys = orjson.loads(one.jwks)["keys"] if one.jwks else []
    return " ".join(f"{key['kid']} ({key['kty']})" for key in keys)


def _keys(file: IO[bytes] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise InvalidSetting("not JSON", where="--jwks") from error
    if not isinstance(found, dict):
        raise InvalidSetting("not a key set", where="--jwks")
    return found
